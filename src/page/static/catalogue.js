// Shows the entries that have every word that is typed; without scripts all of them are there, and the browser finds.
const wanted = document.getElementById("wanted");
const entries = [...document.querySelectorAll(".entries li")];
const count = document.getElementById("count");
wanted.closest("p").hidden = false;
wanted.addEventListener("input", () => {
  const words = wanted.value.toLowerCase().split(/\s+/);
  let shown = 0;
  for (const entry of entries) {
    entry.hidden = !words.every((word) => entry.dataset.text.includes(word));
    shown += entry.hidden ? 0 : 1;
  }
  count.textContent = wanted.value ? `${shown} of ${entries.length}` : "";
});
