// Calls of the API; an error has one line of text.
"use strict";

export class ApiError extends Error {
  constructor(status, line) { super(line); this.status = status; }
}

export async function call(method, path, body) {
  const request = { method, headers: {}, credentials: "same-origin", cache: "no-store" };
  if (body !== undefined) {
    request.headers["content-type"] = "application/json";
    request.body = JSON.stringify(body);
  }
  let response;
  try {
    response = await fetch(`/api/v1${path}`, request);
  } catch {
    throw new ApiError(0, "no connection to livevision");
  }
  let content = null;
  try { content = await response.json(); } catch { /* no JSON */ }
  if (!response.ok) throw new ApiError(response.status, (content && content.error) || `error ${response.status}`);
  return content;
}
