// Pictures of sources as H.264, decoded by the browser's MediaSource and drawn like JPEGs.
"use strict";

const BEHIND_S = .5; // pictures that wait longer are skipped
const KEPT_S = 20;
const ANOTHER = 1012;
const MAX_FAILURES = 3;
const WIDTHS = [320, 640, 960, 1280, 1920]; // as on the server

// Whether this browser plays H.264; the exact codec, which the server sends, is checked later.
export function possible() {
  return "MediaSource" in window && MediaSource.isTypeSupported('video/mp4; codecs="avc1.64001F"');
}

// One source. Handlers: picture(video) for each new picture, ended(failed) once.
class Video {
  constructor(id, width, picture, ended) {
    this.width = width;
    this.picture = picture;
    this.ended = ended;
    this.waiting = [];
    this.shown = 0;
    const scheme = location.protocol === "https:" ? "wss" : "ws";
    this.socket = new WebSocket(`${scheme}://${location.host}/api/v1/sources/${id}/video?width=${width}`);
    this.socket.binaryType = "arraybuffer";
    this.socket.onmessage = (event) => this.receive(event.data);
    this.socket.onclose = (event) => this.end(event.code !== ANOTHER);
  }

  receive(data) {
    if (typeof data === "string") {
      this.begin(JSON.parse(data));
      return;
    }
    this.waiting.push(data);
    this.feed();
  }

  begin(head) {
    if (!MediaSource.isTypeSupported(head.mime)) {
      this.end(true);
      return;
    }
    this.media = new MediaSource();
    this.video = document.createElement("video");
    this.video.muted = this.video.playsInline = true;
    this.video.onerror = () => this.end(true);
    this.media.onsourceopen = () => {
      if (this.over) return;
      this.buffer = this.media.addSourceBuffer(head.mime);
      this.buffer.onupdateend = () => this.fed();
      this.buffer.onerror = () => this.end(true);
      this.feed();
    };
    this.address = URL.createObjectURL(this.media);
    this.video.src = this.address;
    this.follow();
  }

  // Pass waiting messages to the browser one by one.
  feed() {
    if (this.over || !this.buffer || this.buffer.updating || !this.waiting.length) return;
    const data = this.waiting.shift();
    try {
      this.buffer.appendBuffer(data);
    } catch {
      this.end(true);
      return;
    }
    if (this.fragments) this.socket.send("seen"); // all but the head
    this.fragments = true;
  }

  fed() {
    const ranges = this.over ? [] : this.video.buffered;
    if (ranges.length) {
      const end = ranges.end(ranges.length - 1), start = ranges.start(ranges.length - 1), now = this.video.currentTime;
      // Jump to the newest picture instead of playing what was missed.
      if (now < start || end - now > Math.max(BEHIND_S, 2 * (end - this.before || 0))) this.video.currentTime = Math.max(start, end - .05);
      this.before = end;
      if (this.video.paused) this.video.play().catch(() => {});
      if (end - ranges.start(0) > 2 * KEPT_S && !this.waiting.length && !this.buffer.updating) {
        this.buffer.remove(0, end - KEPT_S);
        return;
      }
    }
    this.feed();
  }

  follow() {
    const draw = () => {
      if (this.over) return;
      if (this.video.videoWidth && this.video.readyState >= HTMLMediaElement.HAVE_CURRENT_DATA) this.picture(this.video);
      this.follow();
    };
    if (this.video.requestVideoFrameCallback) this.video.requestVideoFrameCallback(draw);
    else requestAnimationFrame(draw);
  }

  end(failed) {
    if (this.over) return;
    this.over = true;
    this.socket.onclose = null;
    this.socket.close();
    if (this.video) {
      this.video.removeAttribute("src");
      this.video.load();
      URL.revokeObjectURL(this.address);
    }
    this.ended(failed);
  }
}

export class Videos {
  // changed() is called if other sources should be watched now.
  constructor(picture, changed) {
    this.picture = picture;
    this.changed = changed;
    this.videos = new Map();
    this.failures = new Map();
  }

  // Watch sources at these widths; returns those to be watched as JPEG.
  watch(widths, chosen) {
    const asJpeg = {}, kept = new Map();
    for (const [id, width] of Object.entries(widths)) {
      if (!chosen || (this.failures.get(id) || 0) >= MAX_FAILURES) asJpeg[id] = width;
      else kept.set(id, WIDTHS.find((known) => known >= width) || WIDTHS.at(-1));
    }
    for (const [id, video] of [...this.videos]) {
      if (kept.get(id) !== video.width) this.close(id, video);
    }
    for (const [id, width] of kept) if (!this.videos.has(id)) this.open(id, width);
    return asJpeg;
  }

  open(id, width) {
    const picture = (shown) => {
      this.failures.delete(id);
      this.picture(Number(id), shown);
    };
    const video = new Video(id, width, picture, (failed) => {
      if (this.videos.get(id) !== video) return;
      this.videos.delete(id);
      this.failures.set(id, failed ? (this.failures.get(id) || 0) + 1 : 0);
      setTimeout(this.changed, failed ? 500 : 0);
    });
    this.videos.set(id, video);
  }

  close(id, video) {
    this.videos.delete(id);
    video.end(false);
  }

  // Allow failed sources to be tried again.
  tryAgain() { this.failures.clear(); }
}
