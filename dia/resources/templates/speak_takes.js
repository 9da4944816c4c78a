// Takes: each is generated as a stream, played meanwhile, and can be compared, marked, repeated and saved.

const TOKENS = /\[S\d+\]|\([^()]*\)|\{[^{}]*\}|[^\s()[\]{}]+/g; // turns, tags, emotions, words

let takeNumber = 0;

/** Returns a turn or a tag of a script; a turn begins a line. */
function mark(text) {
  const span = document.createElement("span");
  span.textContent = text;
  span.className = text.startsWith("[") ? "turn" : "tag";
  return span;
}

class Take {
  constructor(request, player) {
    this.request = request;
    this.player = player; // null for a take that is not played while it is generated
    this.number = ++takeNumber;
    this.samples = [];
    this.rate = 0;
    this.controller = new AbortController();
    this.running = false;
    this.address = "";
    this.card = element("take").content.firstElementChild.cloneNode(true);
    this.part("title").textContent = `Take ${this.number}`;
    this.part("settings").textContent = this.describe();
    this.part("script").textContent = request.input;
    this.audio = this.card.querySelector("audio");
    this.audio.setAttribute("aria-label", `Take ${this.number}`);
    this.waveform = new Waveform(this.card.querySelector("canvas"), (seconds) => this.playFrom(seconds));
    this.card.setAttribute("aria-label", `Take ${this.number}`);
    this.part("repeat").onclick = () => repeat(request);
    this.part("remove").onclick = () => this.remove();
    this.audio.onplay = () => this.alone();
    this.audio.ontimeupdate = () => this.showPosition(this.audio.currentTime);
  }

  part(name) { return this.card.querySelector(`[data-part=${name}]`); }

  describe() {
    const { voice, seed, speed } = this.request;
    return `${voice === "default" ? "the model's voice" : voice}, seed ${seed}${speed === 1 ? "" : `, speed ${speed}`}`;
  }

  status(text) { this.part("status").textContent = text; }

  /** Generates the take; resolves when it is complete, stopped, or refused. */
  async run() {
    const begin = performance.now();
    this.running = true;
    try {
      const response = await send("/v1/audio/speech", {
        method: "POST", headers: { "Content-Type": "application/json" },
        body: JSON.stringify({ ...this.request, response_format: "wav" }), signal: this.controller.signal,
      });
      const reader = response.body.getReader(), wav = new WavReader();
      for (let part = await reader.read(); !part.done; part = await reader.read()) this.add(wav.read(part.value), wav.rate);
      this.complete((performance.now() - begin) / 1000);
    } catch (error) {
      this.stopPlayer();
      this.status(error.name === "AbortError" ? "stopped" : error.message);
      this.card.classList.toggle("failed", error.name !== "AbortError");
    } finally {
      this.running = false;
    }
  }

  add(samples, rate) {
    if (!samples.length) return;
    this.samples.push(samples);
    this.rate = rate;
    this.waveform.add(samples, rate);
    this.status(`generating: ${this.waveform.seconds.toFixed(1)} s`);
    if (this.player) {
      this.player.play(samples, rate);
      this.follow();
    }
  }

  /** Moves the mark of the playback while the stream plays. */
  follow() {
    if (this.following) return;
    this.following = true;
    const step = () => {
      const position = this.player ? this.player.position : null;
      this.showPosition(position);
      this.following = position !== null || !this.address;
      if (this.player && this.following) requestAnimationFrame(step);
    };
    requestAnimationFrame(step);
  }

  complete(elapsed) {
    const file = wavFile(joinSamples(this.samples), this.rate || 24000), seconds = this.waveform.seconds;
    this.address = URL.createObjectURL(file);
    this.audio.src = this.address;
    const save = this.part("save");
    save.href = this.address;
    save.download = `dia-take-${this.number}-seed-${this.request.seed}.wav`;
    for (const hidden of [this.audio, save]) hidden.hidden = false;
    this.status(`${seconds.toFixed(1)} s of speech in ${elapsed.toFixed(1)} s`);
    if (!setup.recognition && element("marks").checked && seconds) this.mark(file);
  }

  /** Marks turns and words, located by a speech recogniser. */
  async mark(file) {
    const note = this.part("note");
    note.textContent = "locating words ...";
    try {
      const form = new FormData();
      form.append("script", this.request.input);
      form.append("file", file, "take.wav");
      const { turns, words } = await (await send("/v1/audio/alignment", { method: "POST", body: form })).json();
      this.waveform.mark(turns, words.filter((word) => word.start !== null));
      this.showWords(words);
      const missed = words.filter((word) => word.start === null).length;
      note.textContent = missed ? `Underlined words (${missed} of ${words.length}) were not recognised.` : "All words were recognised.";
    } catch (error) {
      note.textContent = error.message;
    }
  }

  /** Shows the script with its words as buttons that play from their place. */
  showWords(words) {
    this.words = words.map((word) => ({ button: this.wordButton(word), ...word }));
    const tokens = [...this.request.input.matchAll(TOKENS)].map(([text]) => text);
    const spoken = tokens.filter((text) => !/^[[({]/.test(text) && /[\p{L}\p{N}_]/u.test(text));
    const buttons = this.words.map(({ button }) => button);
    const parts = spoken.length === buttons.length
      ? tokens.map((text) => (spoken.includes(text) ? buttons.shift() : mark(text)))
      : buttons; // the server reads the text in another way: its words, without tags
    this.part("script").replaceChildren(...parts.flatMap((part) => [part, " "]));
  }

  wordButton(word) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = `word ${word.speaker % 2 ? "first" : "second"}`;
    button.textContent = word.text;
    button.classList.toggle("missed", word.start === null);
    button.disabled = word.start === null;
    if (word.start !== null) button.onclick = () => this.playFrom(word.start);
    return button;
  }

  showPosition(position) {
    this.waveform.moveTo(position);
    for (const word of this.words || []) {
      const spoken = position !== null && word.start !== null && word.start <= position && position < word.end;
      word.button.classList.toggle("now", spoken);
    }
  }

  playFrom(seconds) {
    if (!this.address) return;
    this.audio.currentTime = seconds;
    this.audio.play().catch((error) => { if (error.name !== "AbortError") throw error; }); // abort: paused at once
  }

  /** Silences everything else. */
  alone() {
    for (const take of takes) {
      take.stopPlayer();
      if (take !== this) take.audio.pause();
    }
  }

  stopPlayer() {
    if (this.player) this.player.stop();
    this.player = null;
  }

  stop() {
    this.controller.abort();
    this.stopPlayer();
    this.audio.pause();
  }

  remove() {
    this.stop();
    takes.delete(this);
    this.card.remove();
    URL.revokeObjectURL(this.address);
    element("takes-title").focus();
    element("no-takes").hidden = takes.size > 0;
  }
}
