"use strict";
// The listening test. State is what was answered; every screen is drawn from it, so a page that is loaded again goes on.

const test = JSON.parse(document.getElementById("test").textContent);
const STORE = "dia-listening-test:" + test.test;
const HEARD = 0.9; // share of a sound that must have been played
const SIDES = { a: "left", b: "right" };
const find = (name) => document.getElementById(name);

let state = null;
let begun = 0; // when the comparison on the screen was first shown
let plays = { left: 0, right: 0 };
let heard = { left: false, right: false };

function fresh(listener) {
  return {
    format: "dia-listening-answers/1", test: test.test, listener: listener, form: (listener - 1) % test.forms.length,
    session: crypto.randomUUID ? crypto.randomUUID() : String(Math.random()).slice(2), begun: new Date().toISOString(),
    finished: null, at: 0, answers: [],
  };
}

const trials = () => test.forms[state.form];

function save() {
  try {
    localStorage.setItem(STORE, JSON.stringify(state));
  } catch (error) {
    problem("This browser keeps nothing, so do not close or reload the page before you have downloaded your answers.");
  }
}

function load() {
  try {
    return JSON.parse(localStorage.getItem(STORE));
  } catch (error) {
    return null;
  }
}

function say(text) { find("status").textContent = text; }
function problem(text) { find("problem").textContent = text; }

function show(name, title) {
  stop();
  for (const section of document.querySelectorAll("section")) section.hidden = section.id !== name;
  problem("");
  document.title = (title ? title + " - " : "") + "Listening test";
  find(name + "-title").focus();
}

function draw() {
  if (!state) {
    show("start", "");
  } else if (state.at >= trials().length) {
    show("end", "Thank you");
  } else {
    drawTrial(trials()[state.at]);
  }
}

function drawTrial(trial) {
  const title = "Comparison " + (state.at + 1) + " of " + trials().length;
  const known = state.answers[state.at];
  find("trial-title").textContent = title;
  find("progress").max = trials().length;
  find("progress").value = state.at;
  find("script").replaceChildren(...trial.script.map((line) => {
    const item = document.createElement("li");
    item.textContent = line;
    return item;
  }));
  plays = known ? { left: known.plays[0], right: known.plays[1] } : { left: 0, right: 0 };
  const before = Boolean(known) && known.choice !== "unheard";
  heard = { left: before, right: before };
  for (const [side, name] of Object.entries(SIDES)) drawSound(side, trial[name]);
  for (const option of document.getElementsByName("choice")) option.checked = Boolean(known) && known.choice === option.value;
  find("back").hidden = state.at === 0;
  find("next").textContent = state.at + 1 < trials().length ? "Next" : "Finish";
  begun = performance.now();
  show("trial", title);
}

function drawSound(side, name) {
  find("sound-" + side).src = test.sounds[name];
  find("place-" + side).value = 0;
  drawHeard(side);
  drawButton(side);
}

function drawHeard(side) { find("heard-" + side).textContent = heard[SIDES[side]] ? "Heard" : "Not heard yet"; }

function drawButton(side) {
  const paused = find("sound-" + side).paused;
  find("play-" + side).textContent = (paused ? "Play" : "Pause") + " sound " + side.toUpperCase();
}

function stop() { for (const side in SIDES) find("sound-" + side).pause(); }

function toggle(side) {
  const sound = find("sound-" + side);
  if (!sound.paused) { sound.pause(); return; }
  stop();
  if (sound.currentTime === 0 || sound.ended) plays[SIDES[side]] += 1;
  sound.play().catch((error) => { if (error.name !== "AbortError") cannotPlay(side); }); // aborted: another comparison was opened
}

function cannotPlay(side) {
  problem("Sound " + side.toUpperCase() + " cannot be played here. Choose \"I could not hear both\" and go on.");
}

function listened(side) {
  const sound = find("sound-" + side);
  let seconds = 0;
  for (let part = 0; part < sound.played.length; part += 1) seconds += sound.played.end(part) - sound.played.start(part);
  return sound.duration > 0 && seconds >= HEARD * sound.duration;
}

function moved(side) {
  const sound = find("sound-" + side);
  const place = find("place-" + side);
  place.max = sound.duration || 1;
  place.value = sound.currentTime;
  place.setAttribute("aria-valuetext", sound.currentTime.toFixed(1) + " of " + (sound.duration || 0).toFixed(1) + " seconds");
  if (!heard[SIDES[side]] && listened(side)) {
    heard[SIDES[side]] = true;
    drawHeard(side);
    say("Sound " + side.toUpperCase() + " was heard.");
  }
}

function answer(event) {
  event.preventDefault();
  const chosen = document.querySelector("input[name=choice]:checked");
  if (!chosen) { problem("Please choose an answer."); return; }
  if (chosen.value !== "unheard" && !(heard.left && heard.right)) {
    problem("Please listen to both sounds to their ends before you answer.");
    return;
  }
  const trial = trials()[state.at];
  const before = state.answers[state.at];
  state.answers[state.at] = {
    trial: trial.id, left: trial.left, right: trial.right, choice: chosen.value, plays: [plays.left, plays.right],
    seconds: Math.round((before ? before.seconds : 0) * 10 + (performance.now() - begun) / 100) / 10, at: new Date().toISOString(),
  };
  go(state.at + 1);
}

function go(place) {
  state.at = place;
  if (place >= trials().length) state.finished = new Date().toISOString();
  say("");
  draw();
  save(); // after drawing, which clears what it may have to say
}

function begin(event) {
  event.preventDefault();
  const written = find("listener").value.trim();
  const valid = /^[1-9][0-9]{0,5}$/.test(written);
  find("listener").setAttribute("aria-invalid", String(!valid));
  if (!valid) {
    problem("The listener number must be a whole number, 1 or more.");
    find("listener").focus();
    return;
  }
  state = fresh(Number(written));
  go(0);
}

function download() {
  const { at, ...answers } = state;
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([JSON.stringify(answers, null, 1)], { type: "application/json" }));
  link.download = "answers-" + test.test + "-" + state.listener + ".json";
  document.body.append(link);
  link.click();
  link.remove();
  say("The file " + link.download + " was given to your browser to save.");
}

function again() {
  if (!confirm("Delete the answers of listener " + state.listener + " from this browser?")) return;
  state = null;
  try { localStorage.removeItem(STORE); } catch (error) { /* nothing was kept */ }
  find("listener").value = "";
  say("");
  draw();
}

for (const side in SIDES) {
  const sound = find("sound-" + side);
  find("play-" + side).addEventListener("click", () => toggle(side));
  find("place-" + side).addEventListener("input", (event) => { sound.currentTime = Number(event.target.value); });
  for (const name of ["play", "pause", "ended"]) sound.addEventListener(name, () => { drawButton(side); moved(side); });
  for (const name of ["timeupdate", "loadedmetadata"]) sound.addEventListener(name, () => moved(side));
  sound.addEventListener("error", () => cannotPlay(side));
}
find("question").textContent = test.question;
find("answer").addEventListener("submit", answer);
find("start-form").addEventListener("submit", begin);
find("back").addEventListener("click", () => go(state.at - 1));
find("review").addEventListener("click", () => go(trials().length - 1));
find("download").addEventListener("click", download);
find("again").addEventListener("click", again);

state = load();
draw();
if (state && state.answers.length) say("Your answers were kept: " + state.answers.length + " of " + trials().length + ".");
