// Calls of the interface; every error is one line.
"use strict";

export class Refused extends Error {
  constructor(status, line) { super(line); this.status = status; }
}

export async function call(method, path, body) {
  const request = { method, headers: {}, credentials: "same-origin", cache: "no-store" };
  if (body !== undefined) {
    request.headers["content-type"] = "application/json";
    request.body = JSON.stringify(body);
  }
  let answer;
  try {
    answer = await fetch(`/api/v1${path}`, request);
  } catch {
    throw new Refused(0, "livevision does not answer");
  }
  let content = null;
  try { content = await answer.json(); } catch { /* no JSON */ }
  if (!answer.ok) throw new Refused(answer.status, (content && content.error) || `error ${answer.status}`);
  return content;
}
