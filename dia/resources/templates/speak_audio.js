"use strict";
// Audio of the page: WAV files that arrive in pieces, playback meanwhile, recordings, and WAV files to save.

const HEADER_BYTES = 44; // of the WAV files that the server streams
const START_DELAY = 0.08; // seconds between the arrival of audio and its playback, so that no gap is audible

/** Reads 16-bit mono samples from the bytes of a streamed WAV file. */
class WavReader {
  constructor() {
    this.rate = 0; // hertz, once the header has arrived
    this.rest = new Uint8Array(0);
  }

  /** Returns the samples, -1 to 1, that are complete with these bytes. */
  read(bytes) {
    const all = new Uint8Array(this.rest.length + bytes.length);
    all.set(this.rest);
    all.set(bytes, this.rest.length);
    const view = new DataView(all.buffer);
    let start = 0;
    if (!this.rate) {
      if (all.length < HEADER_BYTES) {
        this.rest = all;
        return new Float32Array(0);
      }
      this.rate = view.getUint32(24, true);
      start = HEADER_BYTES;
    }
    const count = Math.floor((all.length - start) / 2);
    const samples = new Float32Array(count);
    for (let place = 0; place < count; place++) samples[place] = view.getInt16(start + 2 * place, true) / 32768;
    this.rest = all.slice(start + 2 * count);
    return samples;
  }
}

/** Returns one array with the samples of all parts. */
function joinSamples(parts) {
  const joined = new Float32Array(parts.reduce((sum, part) => sum + part.length, 0));
  let place = 0;
  for (const part of parts) {
    joined.set(part, place);
    place += part.length;
  }
  return joined;
}

/** Returns a WAV file, 16-bit mono, as a blob. */
function wavFile(samples, rate) {
  const view = new DataView(new ArrayBuffer(HEADER_BYTES + 2 * samples.length));
  const text = (at, letters) => [...letters].forEach((letter, index) => view.setUint8(at + index, letter.charCodeAt(0)));
  text(0, "RIFF");
  view.setUint32(4, 36 + 2 * samples.length, true);
  text(8, "WAVEfmt ");
  view.setUint32(16, 16, true);
  view.setUint16(20, 1, true);
  view.setUint16(22, 1, true);
  view.setUint32(24, rate, true);
  view.setUint32(28, 2 * rate, true);
  view.setUint16(32, 2, true);
  view.setUint16(34, 16, true);
  text(36, "data");
  view.setUint32(40, 2 * samples.length, true);
  samples.forEach((sample, place) =>
    view.setInt16(HEADER_BYTES + 2 * place, Math.round(32767 * Math.max(-1, Math.min(1, sample))), true));
  return new Blob([view.buffer], { type: "audio/wav" });
}

/** Plays audio while it arrives. */
class StreamPlayer {
  constructor() {
    this.context = new AudioContext();
    this.end = 0; // time of the context at which everything that has arrived is played
    this.begin = null; // time of the context of the first sample
  }

  play(samples, rate) {
    if (!samples.length || this.context.state === "closed") return;
    const buffer = this.context.createBuffer(1, samples.length, rate);
    buffer.copyToChannel(samples, 0);
    const source = this.context.createBufferSource();
    source.buffer = buffer;
    source.connect(this.context.destination);
    if (this.end < this.context.currentTime) this.end = this.context.currentTime + START_DELAY;
    if (this.begin === null) this.begin = this.end;
    source.start(this.end);
    this.end += buffer.duration;
  }

  /** Seconds of the audio that were played; null when nothing plays. */
  get position() {
    const now = this.context.currentTime;
    if (this.begin === null || this.context.state !== "running" || now > this.end) return null;
    return Math.max(0, now - this.begin);
  }

  stop() {
    if (this.context.state !== "closed") this.context.close();
  }
}

/** Returns the samples and the rate of any recording that the browser can decode, as mono. */
async function decodeRecording(blob) {
  const context = new AudioContext();
  try {
    const decoded = await context.decodeAudioData(await blob.arrayBuffer());
    const mono = new Float32Array(decoded.length);
    for (let channel = 0; channel < decoded.numberOfChannels; channel++) {
      decoded.getChannelData(channel).forEach((sample, place) => (mono[place] += sample / decoded.numberOfChannels));
    }
    return { samples: mono, rate: decoded.sampleRate };
  } finally {
    context.close();
  }
}

/** Records the microphone until `stop()`, or for the longest length; `finished` resolves with a blob. */
class MicrophoneRecorder {
  static async open(longestSeconds) {
    const stream = await navigator.mediaDevices.getUserMedia({ audio: true });
    return new MicrophoneRecorder(stream, longestSeconds);
  }

  constructor(stream, longestSeconds) {
    const parts = [];
    this.recorder = new MediaRecorder(stream);
    this.recorder.ondataavailable = (event) => parts.push(event.data);
    this.finished = new Promise((resolve) => {
      this.recorder.onstop = () => {
        stream.getTracks().forEach((track) => track.stop());
        resolve(new Blob(parts, { type: this.recorder.mimeType }));
      };
    });
    this.recorder.start();
    this.timer = setTimeout(() => this.stop(), 1000 * longestSeconds);
  }

  stop() {
    clearTimeout(this.timer);
    if (this.recorder.state !== "inactive") this.recorder.stop();
  }
}
