// Voices: choose one, hear it, and make one of a recording and its transcript.

let recording = null; // {samples, rate} of the voice that is being made
let recorder = null;

async function loadVoices(chosen) {
  const { voices } = await (await send("/v1/audio/voices")).json();
  const select = element("voice"), value = chosen || select.value;
  select.replaceChildren(...voices.map((name) => new Option(name === "default" ? "the model chooses" : name, name)));
  select.value = voices.includes(value) ? value : "default";
  editor.changed(); // what can be spoken depends on the voice
  await showVoice();
}

/** Shows the recording and the transcript of the chosen voice. */
async function showVoice() {
  const name = element("voice").value, box = element("voice-sound"), audio = element("voice-audio");
  URL.revokeObjectURL(audio.src);
  audio.removeAttribute("src");
  box.hidden = name === "default";
  if (box.hidden) return;
  const address = `/v1/audio/voices/${encodeURIComponent(name)}`;
  element("voice-transcript").textContent = (await (await send(address)).json()).transcript;
  audio.src = URL.createObjectURL(await (await send(`${address}/audio`)).blob());
}

const voiceStatus = (text) => { element("new-status").textContent = text; };

async function toggleRecording() {
  if (recorder) {
    recorder.stop();
    return;
  }
  const button = element("record");
  try {
    recorder = await MicrophoneRecorder.open(setup.voice.longest);
  } catch (error) {
    voiceStatus(`The microphone cannot be used (${error.message}); allow it for this page, or choose a file.`);
    return;
  }
  button.textContent = "Stop recording";
  voiceStatus(`Recording; it ends by itself after ${setup.voice.longest} s.`);
  const blob = await recorder.finished;
  recorder = null;
  button.textContent = "Record with the microphone";
  await takeRecording(blob);
}

/** Decodes a recording, plays it to the user, and suggests its transcript. */
async function takeRecording(blob) {
  try {
    recording = await decodeRecording(blob);
  } catch (error) {
    voiceStatus("This browser cannot read the recording; choose a WAV, FLAC, OGG or MP3 file.");
    return;
  }
  const seconds = recording.samples.length / recording.rate, { longest } = setup.voice;
  element("part").hidden = seconds <= longest;
  element("part-start").max = Math.max(0, Math.floor(seconds - longest));
  element("part-start").value = 0;
  await usePart();
}

/** Returns the chosen part of the recording: all of it, or the longest that a voice may have. */
function chosenPart() {
  const start = Math.round(Number(element("part-start").value) * recording.rate);
  const samples = recording.samples.slice(start, start + Math.floor(setup.voice.longest * recording.rate));
  return wavFile(samples, recording.rate);
}

async function usePart() {
  const file = chosenPart(), audio = element("new-audio");
  URL.revokeObjectURL(audio.src);
  audio.src = URL.createObjectURL(file);
  audio.hidden = false;
  element("part-value").textContent = `from second ${element("part-start").value}`;
  const seconds = (file.size - HEADER_BYTES) / 2 / recording.rate;
  const tooShort = seconds < setup.voice.shortest;
  voiceStatus(`${seconds.toFixed(1)} s${tooShort ? `; a voice needs ${setup.voice.shortest} to ${setup.voice.longest} s` : ""}.`);
  if (!tooShort && !setup.recognition) await suggestTranscript(file);
}

async function suggestTranscript(file) {
  const status = element("new-status").textContent;
  voiceStatus(`${status} Recognising the words ...`);
  const form = new FormData();
  form.append("file", file, "recording.wav");
  form.append("model", "whisper");
  try {
    const { text } = await (await send("/v1/audio/transcriptions", { method: "POST", body: form })).json();
    if (text) element("new-transcript").value = `[S1] ${text}`;
    voiceStatus(`${status} ${text ? "Correct the transcript: it must have all words of the recording." : "No words were recognised."}`);
  } catch (error) {
    voiceStatus(`${status} ${error.message}`);
  }
}

async function saveVoice() {
  if (!recording) {
    voiceStatus("Record or choose a recording first.");
    return;
  }
  const name = element("new-name").value.trim(), form = new FormData();
  form.append("name", name);
  form.append("transcript", element("new-transcript").value);
  form.append("replace", element("new-replace").checked);
  form.append("file", chosenPart(), "recording.wav");
  try {
    const made = await (await send("/v1/audio/voices", { method: "POST", body: form })).json();
    voiceStatus([`The voice ${made.name} is saved and chosen.`, ...made.warnings.map((warning) => `Note: ${warning}`)].join(" "));
    await loadVoices(made.name);
  } catch (error) {
    voiceStatus(error.message);
  }
}
