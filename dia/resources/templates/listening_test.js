"use strict";
// The page of a listening test. Every screen is drawn from `state`, which the browser stores, so a reload continues.

const test = JSON.parse(document.getElementById("test").textContent);
const STORAGE_KEY = "dia-listening-test:" + test.test;
const PLAYED_SHARE = 0.9; // of a clip's duration, required before an answer
const SIDES = { a: "left", b: "right" };
const element = (id) => document.getElementById(id);

let state = null;
let shownAt = 0; // when the current comparison was first shown
let plays = { left: 0, right: 0 };
let played = { left: false, right: false };

function newState(listener) {
  return {
    format: "dia-listening-answers/2", test: test.test, listener: listener, form: (listener - 1) % test.forms.length,
    session: crypto.randomUUID ? crypto.randomUUID() : String(Math.random()).slice(2), started: new Date().toISOString(),
    finished: null, at: 0, answers: [],
  };
}

const trials = () => test.forms[state.form];

function save() {
  try {
    localStorage.setItem(STORAGE_KEY, JSON.stringify(state));
  } catch (error) {
    showProblem("This browser does not store answers: do not close or reload the page before you have downloaded them.");
  }
}

function load() {
  try {
    return JSON.parse(localStorage.getItem(STORAGE_KEY));
  } catch (error) {
    return null;
  }
}

function showStatus(text) { element("status").textContent = text; }
function showProblem(text) { element("problem").textContent = text; }

function showSection(name, title) {
  pauseAll();
  for (const section of document.querySelectorAll("section")) section.hidden = section.id !== name;
  showProblem("");
  document.title = (title ? title + " - " : "") + "Listening test";
  element(name + "-title").focus();
}

function draw() {
  if (!state) {
    showSection("start", "");
  } else if (state.at >= trials().length) {
    showSection("end", "Thank you");
  } else {
    drawTrial(trials()[state.at]);
  }
}

function drawTrial(trial) {
  const title = "Comparison " + (state.at + 1) + " of " + trials().length;
  const earlier = state.answers[state.at];
  element("trial-title").textContent = title;
  element("progress").max = trials().length;
  element("progress").value = state.at;
  element("script").replaceChildren(...trial.script.map((line) => {
    const item = document.createElement("li");
    item.textContent = line;
    return item;
  }));
  plays = earlier ? { left: earlier.plays[0], right: earlier.plays[1] } : { left: 0, right: 0 };
  const rated = Boolean(earlier) && earlier.choice !== "skipped";
  played = { left: rated, right: rated };
  for (const [side, name] of Object.entries(SIDES)) drawClip(side, trial[name]);
  for (const option of document.getElementsByName("choice")) {
    option.checked = Boolean(earlier) && earlier.choice === option.value;
  }
  element("back").hidden = state.at === 0;
  element("next").textContent = state.at + 1 < trials().length ? "Next" : "Finish";
  shownAt = performance.now();
  showSection("trial", title);
}

function drawClip(side, name) {
  element("audio-" + side).src = test.clips[name];
  element("position-" + side).value = 0;
  drawPlayed(side);
  drawButton(side);
}

function drawPlayed(side) { element("state-" + side).textContent = played[SIDES[side]] ? "Played" : "Not played yet"; }

function drawButton(side) {
  const paused = element("audio-" + side).paused;
  element("play-" + side).textContent = (paused ? "Play" : "Pause") + " clip " + side.toUpperCase();
}

function pauseAll() { for (const side in SIDES) element("audio-" + side).pause(); }

function togglePlayback(side) {
  const audio = element("audio-" + side);
  if (!audio.paused) { audio.pause(); return; }
  pauseAll();
  if (audio.currentTime === 0 || audio.ended) plays[SIDES[side]] += 1;
  audio.play().catch((error) => { if (error.name !== "AbortError") reportUnplayable(side); }); // abort: another trial
}

function reportUnplayable(side) {
  showProblem("Clip " + side.toUpperCase() + " cannot be played. Choose \"I could not play both clips\" and continue.");
}

function isPlayed(side) {
  const audio = element("audio-" + side);
  let seconds = 0;
  for (let range = 0; range < audio.played.length; range += 1) {
    seconds += audio.played.end(range) - audio.played.start(range);
  }
  return audio.duration > 0 && seconds >= PLAYED_SHARE * audio.duration;
}

function updatePosition(side) {
  const audio = element("audio-" + side);
  const position = element("position-" + side);
  position.max = audio.duration || 1;
  position.value = audio.currentTime;
  const text = audio.currentTime.toFixed(1) + " of " + (audio.duration || 0).toFixed(1) + " seconds";
  position.setAttribute("aria-valuetext", text);
  if (!played[SIDES[side]] && isPlayed(side)) {
    played[SIDES[side]] = true;
    drawPlayed(side);
    showStatus("Clip " + side.toUpperCase() + " was played.");
  }
}

function submitAnswer(event) {
  event.preventDefault();
  const chosen = document.querySelector("input[name=choice]:checked");
  if (!chosen) { showProblem("Please choose an answer."); return; }
  if (chosen.value !== "skipped" && !(played.left && played.right)) {
    showProblem("Please listen to both clips to the end before you answer.");
    return;
  }
  const trial = trials()[state.at];
  const earlier = state.answers[state.at];
  const seconds = (earlier ? earlier.seconds : 0) + (performance.now() - shownAt) / 1000;
  state.answers[state.at] = {
    trial: trial.id, left: trial.left, right: trial.right, choice: chosen.value, plays: [plays.left, plays.right],
    seconds: Math.round(10 * seconds) / 10, at: new Date().toISOString(),
  };
  goTo(state.at + 1);
}

function goTo(index) {
  state.at = index;
  if (index >= trials().length) state.finished = new Date().toISOString();
  showStatus("");
  draw();
  save(); // after drawing, which clears messages
}

function start(event) {
  event.preventDefault();
  const text = element("listener").value.trim();
  const valid = /^[1-9][0-9]{0,5}$/.test(text);
  element("listener").setAttribute("aria-invalid", String(!valid));
  if (!valid) {
    showProblem("The listener number must be a whole number, 1 or more.");
    element("listener").focus();
    return;
  }
  state = newState(Number(text));
  goTo(0);
}

function download() {
  const { at, ...answers } = state;
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([JSON.stringify(answers, null, 1)], { type: "application/json" }));
  link.download = "answers-" + test.test + "-" + state.listener + ".json";
  document.body.append(link);
  link.click();
  link.remove();
  showStatus("The browser saves the file " + link.download + ".");
}

function startAgain() {
  if (!confirm("Delete the answers of listener " + state.listener + " from this browser?")) return;
  state = null;
  try { localStorage.removeItem(STORAGE_KEY); } catch (error) { /* nothing was stored */ }
  element("listener").value = "";
  showStatus("");
  draw();
}

for (const side in SIDES) {
  const audio = element("audio-" + side);
  element("play-" + side).addEventListener("click", () => togglePlayback(side));
  element("position-" + side).addEventListener("input", (event) => { audio.currentTime = Number(event.target.value); });
  for (const name of ["play", "pause", "ended"]) {
    audio.addEventListener(name, () => { drawButton(side); updatePosition(side); });
  }
  for (const name of ["timeupdate", "loadedmetadata"]) audio.addEventListener(name, () => updatePosition(side));
  audio.addEventListener("error", () => reportUnplayable(side));
}
element("question").textContent = test.question;
element("answer").addEventListener("submit", submitAnswer);
element("start-form").addEventListener("submit", start);
element("back").addEventListener("click", () => goTo(state.at - 1));
element("review").addEventListener("click", () => goTo(trials().length - 1));
element("download").addEventListener("click", download);
element("again").addEventListener("click", startAgain);

state = load();
draw();
if (state && state.answers.length) {
  showStatus("Your answers are stored: " + state.answers.length + " of " + trials().length + ".");
}
