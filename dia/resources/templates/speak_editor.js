// The script: its colours, the buttons that insert turns and tags, and the problems that the server finds in it.

const LINT_DELAY = 350; // milliseconds after the last key
const MARKS = /\[S(\d+)\]|\(([^()\n]{1,40})\)/g;

class ScriptEditor {
  constructor(text, backdrop, problems, summary) {
    this.text = text;
    this.backdrop = backdrop;
    this.problems = problems;
    this.summary = summary;
    this.known = new Set(setup.tags);
    this.timer = 0;
    this.checks = 0;
    text.addEventListener("input", () => this.changed());
    text.addEventListener("scroll", () => { backdrop.scrollTop = text.scrollTop; });
  }

  get value() { return this.text.value; }

  /** Replaces the selection, with spaces around it where there are none. */
  insert(mark) {
    const { text } = this, start = text.selectionStart, end = text.selectionEnd;
    const before = /(^|\s)$/.test(text.value.slice(0, start)) ? "" : " ";
    const after = /^\s/.test(text.value.slice(end)) ? "" : " ";
    text.setRangeText(before + mark + after, start, end, "end");
    text.focus();
    this.changed();
  }

  changed() {
    this.colour();
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.lint(), LINT_DELAY);
  }

  /** Draws the text behind the text area, each turn in the colour of its speaker. */
  colour() {
    const parts = [], value = this.value;
    let speaker = 1, place = 0;
    const add = (content, kind) => {
      const span = document.createElement("span");
      span.className = kind + (speaker % 2 ? " first" : " second");
      span.textContent = content;
      parts.push(span);
    };
    for (const match of value.matchAll(MARKS)) {
      add(value.slice(place, match.index), "words");
      if (match[1]) {
        speaker = Number(match[1]);
        add(match[0], "speaker");
      } else {
        add(match[0], this.known.has(match[2].trim().toLowerCase()) ? "known" : "unknown");
      }
      place = match.index + match[0].length;
    }
    add(value.slice(place) + "\n", "words"); // a last line break has height only with something behind it
    this.backdrop.replaceChildren(...parts);
    this.backdrop.scrollTop = this.text.scrollTop;
  }

  /** Shows what the server says about the text; an answer to an earlier text is ignored. */
  async lint() {
    const check = ++this.checks;
    if (!this.value.trim()) {
      this.show([], [], "");
      return;
    }
    try {
      const answer = await postJson("/v1/audio/lint", { input: this.value, voice: element("voice").value });
      if (check !== this.checks) return;
      const pieces = answer.pieces > 1 ? `, spoken in ${answer.pieces} pieces` : "";
      this.show(answer.errors, answer.warnings, `about ${Math.max(1, Math.round(answer.seconds))} s of speech${pieces}`);
    } catch (error) {
      if (check === this.checks) this.show([error.message], [], "");
    }
  }

  show(errors, warnings, summary) {
    const line = (kind, label) => (problem) => {
      const item = document.createElement("li"), name = document.createElement("b");
      item.className = kind;
      name.textContent = label + " ";
      item.append(name, problem);
      return item;
    };
    this.problems.replaceChildren(...errors.map(line("error", "Cannot be spoken:")), ...warnings.map(line("warning", "Note:")));
    this.summary.textContent = summary;
  }
}
