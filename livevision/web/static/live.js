// The WebSocket to livevision: figures every second, and the newest pictures of visible sources.
"use strict";

export class Live {
  // Handlers: figures(status), picture(source, bitmap, head), connected(yes).
  constructor(handlers) {
    this.handlers = handlers;
    this.widths = {};
    this.pause = 500;
    this.open();
  }

  open() {
    const scheme = location.protocol === "https:" ? "wss" : "ws";
    this.socket = new WebSocket(`${scheme}://${location.host}/api/v1/live`);
    this.socket.binaryType = "arraybuffer";
    this.socket.onopen = () => {
      this.pause = 500;
      this.handlers.connected(true);
      this.send({ watch: this.widths });
    };
    this.socket.onmessage = (event) => this.receive(event.data);
    this.socket.onclose = () => {
      this.handlers.connected(false);
      if (this.ended) return;
      this.timer = setTimeout(() => this.open(), this.pause);
      this.pause = Math.min(2 * this.pause, 5000);
    };
  }

  close() {
    this.ended = true;
    clearTimeout(this.timer);
    this.socket.close();
  }

  // Set the visible sources: their ids, and their widths in device pixels.
  watch(widths) {
    if (JSON.stringify(widths) === JSON.stringify(this.widths)) return;
    this.widths = widths;
    this.send({ watch: widths });
  }

  send(message) {
    if (this.socket.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify(message));
  }

  async receive(data) {
    if (typeof data === "string") {
      this.handlers.figures(JSON.parse(data));
      return;
    }
    const length = new DataView(data).getUint32(0);
    const head = JSON.parse(new TextDecoder().decode(new Uint8Array(data, 4, length)));
    try {
      const bitmap = await createImageBitmap(new Blob([new Uint8Array(data, 4 + length)], { type: "image/jpeg" }));
      this.handlers.picture(head.source, bitmap, head);
      bitmap.close();
    } finally {
      this.send({ seen: 1 });
    }
  }
}

// Draw a bitmap or the picture of a video on a canvas of its size; returns its aspect ratio.
export function draw(canvas, bitmap) {
  const width = bitmap.videoWidth || bitmap.width, height = bitmap.videoHeight || bitmap.height;
  if (canvas.width !== width || canvas.height !== height) {
    canvas.width = width;
    canvas.height = height;
  }
  canvas.getContext("2d").drawImage(bitmap, 0, 0);
  return width / height;
}
