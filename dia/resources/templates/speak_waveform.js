// The drawing of a take: its waveform, its turns in colour, the starts of its words, and the place of playback.

const SLICE = 0.005; // seconds of audio whose peak is stored
const WAVE_HEIGHT = 96; // pixels

class Waveform {
  /** `seek` is called with the seconds of the place that was pressed. */
  constructor(canvas, seek) {
    this.canvas = canvas;
    this.peaks = [];
    this.seconds = 0;
    this.position = null;
    this.turns = [];
    this.words = [];
    this.pending = 0;
    canvas.addEventListener("pointerdown", (event) => {
      if (this.seconds) seek((event.offsetX / canvas.clientWidth) * this.seconds);
    });
    new ResizeObserver(() => this.draw()).observe(canvas);
  }

  /** Adds samples at the end. */
  add(samples, rate) {
    const size = Math.max(1, Math.round(SLICE * rate));
    for (let start = 0; start < samples.length; start += size) {
      let peak = 0;
      for (let place = start; place < Math.min(start + size, samples.length); place++) {
        peak = Math.max(peak, Math.abs(samples[place]));
      }
      this.peaks.push(peak);
    }
    this.seconds += samples.length / rate;
    this.draw();
  }

  /** Marks turns ({speaker, start, end}) and words ({start}). */
  mark(turns, words) {
    this.turns = turns;
    this.words = words;
    this.draw();
  }

  moveTo(position) {
    this.position = position;
    this.draw();
  }

  draw() {
    if (this.pending) return;
    this.pending = requestAnimationFrame(() => {
      this.pending = 0;
      this.paint();
    });
  }

  paint() {
    const { canvas } = this;
    const width = canvas.clientWidth, scale = window.devicePixelRatio || 1;
    if (!width) return;
    canvas.width = width * scale;
    canvas.height = WAVE_HEIGHT * scale;
    const context = canvas.getContext("2d"), style = getComputedStyle(canvas);
    context.scale(scale, scale);
    const colour = (name) => style.getPropertyValue(name);
    const x = (seconds) => (this.seconds ? (seconds / this.seconds) * width : 0);
    for (const turn of this.turns) {
      context.fillStyle = colour(turn.speaker % 2 ? "--first-soft" : "--second-soft");
      context.fillRect(x(turn.start), 0, x(turn.end) - x(turn.start), WAVE_HEIGHT);
    }
    context.fillStyle = colour("--line");
    for (const word of this.words) context.fillRect(x(word.start), 0, 1, WAVE_HEIGHT);
    context.fillStyle = style.color;
    this.bars(context, width);
    if (this.position !== null) {
      context.fillStyle = colour("--bad");
      context.fillRect(x(this.position), 0, 2, WAVE_HEIGHT);
    }
  }

  bars(context, width) {
    const columns = Math.min(width, this.peaks.length);
    for (let column = 0; column < columns; column++) {
      const start = Math.floor((column / columns) * this.peaks.length);
      const end = Math.max(start + 1, Math.floor(((column + 1) / columns) * this.peaks.length));
      const height = Math.max(1, Math.max(...this.peaks.slice(start, end)) * (WAVE_HEIGHT - 4));
      context.fillRect((column / columns) * width, (WAVE_HEIGHT - height) / 2, Math.max(1, width / columns - 0.5), height);
    }
  }
}
