// Connects the controls of the page with what they do.

const editor = new ScriptEditor(element("text"), element("backdrop"), element("problems"), element("summary"));

for (const button of document.querySelectorAll("[data-insert]")) button.onclick = () => editor.insert(button.dataset.insert);
element("speak").onclick = start;
element("stop").onclick = stopAll;
element("voice").onchange = () => {
  editor.changed();
  showVoice().catch((error) => voiceStatus(error.message));
};
element("speed").oninput = () => { element("speed-value").textContent = Number(element("speed").value).toFixed(2); };
element("record").onclick = toggleRecording;
element("file").onchange = (event) => event.target.files.length && takeRecording(event.target.files[0]);
element("part-start").onchange = usePart;
element("save-voice").onclick = saveVoice;
if (setup.needs_key) element("key").onchange = () => begin();
document.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
    event.preventDefault();
    start();
  } else if (event.key === "Escape") {
    stopAll();
  }
});

/** Loads what the server has; repeated when the key changes. */
async function begin() {
  editor.colour();
  try {
    await loadVoices();
    element("page-status").textContent = "";
  } catch (error) {
    element("page-status").textContent = error.message;
  }
}

begin();
