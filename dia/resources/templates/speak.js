// The page: settings, requests to the server, keys.

const setup = JSON.parse(document.getElementById("setup").textContent);
const element = (id) => document.getElementById(id);
const takes = new Set();
const MOST_SEEDS = 2 ** 31;

/** Sends a request; throws an error with the server's message when it is refused. */
async function send(path, options = {}) {
  const headers = { ...options.headers };
  if (setup.needs_key) headers.Authorization = `Bearer ${element("key").value}`;
  let response;
  try {
    response = await fetch(path, { ...options, headers });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Error("The server does not answer; check that it runs.");
  }
  if (response.ok) return response;
  const body = await response.json().catch(() => ({}));
  throw new Error(body.error ? body.error.message : `The server answered ${response.status}.`);
}

async function postJson(path, values) {
  const headers = { "Content-Type": "application/json" };
  return (await send(path, { method: "POST", headers, body: JSON.stringify(values) })).json();
}

/** Returns the body of a request, without the values that are left to the model. */
function readRequest() {
  const request = { input: editor.value, voice: element("voice").value, speed: Number(element("speed").value) };
  request.retries = Number(element("retries").value);
  for (const name of Object.keys(setup.sampling)) {
    const value = element(name).value;
    if (value !== "") request[name] = Number(value);
  }
  return request;
}

/** Generates the takes of a request; the first one is played meanwhile. */
async function speak(request, seed, count) {
  for (const take of takes) take.stop();
  element("stop").disabled = false;
  element("no-takes").hidden = true;
  const play = element("play").checked;
  const running = [];
  for (let number = 0; number < count; number++) {
    const take = new Take({ ...request, seed: (seed + number) % MOST_SEEDS }, play && !number ? new StreamPlayer() : null);
    takes.add(take);
    running.push(take);
  }
  element("takes").prepend(...running.map((take) => take.card));
  await Promise.all(running.map((take) => take.run()));
  if (![...takes].some((take) => take.running)) element("stop").disabled = true;
}

function start() {
  if (!editor.value.trim()) {
    editor.show(["the text is empty; write a script: [S1] Hello there."], [], "");
    editor.text.focus();
    return;
  }
  const given = element("seed").value;
  const seed = given === "" ? Math.floor(Math.random() * MOST_SEEDS) : Number(given);
  speak(readRequest(), seed, Math.min(4, Math.max(1, Number(element("count").value) || 1)));
}

/** Fills the form with the values of a take. */
function repeat(request) {
  editor.text.value = request.input;
  for (const name of ["voice", "speed", "retries", "seed", ...Object.keys(setup.sampling)]) {
    element(name).value = request[name] ?? "";
  }
  element("speed").dispatchEvent(new Event("input"));
  editor.changed();
  editor.text.focus();
}

function stopAll() {
  for (const take of takes) take.stop();
  element("stop").disabled = true;
}
