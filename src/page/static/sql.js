// Completion of table and column names below the text, and Ctrl+Enter. Without it the form does all the same.
"use strict";

(async () => {
  const text = document.getElementById("sql");
  const list = document.getElementById("names");
  if (!text || !list) return;
  const answer = await fetch("/sql/names");
  const tables = answer.ok ? (await answer.json()).tables : {};
  const said = document.getElementById("said");
  let start = 0;
  let chosen = -1;

  text.setAttribute("aria-autocomplete", "list");
  text.setAttribute("aria-controls", "names");

  const columnsInUse = () => {
    const used = new Map();
    for (const name of text.value.match(/\w+\.\w+(\.\w+)?/g) || [])
      for (const column of tables[name] || []) used.set(column, name);
    return used;
  };

  const found = (word) => {
    const sought = word.toLowerCase();
    const columns = [...columnsInUse()].filter(([name]) => name.toLowerCase().includes(sought));
    const named = Object.keys(tables).filter((name) => name.toLowerCase().includes(sought)).map((name) => [name, ""]);
    const starts = ([name]) => (name.toLowerCase().startsWith(sought) ? 0 : 1);
    return [...columns, ...named].sort((a, b) => starts(a) - starts(b)).filter(([name]) => name !== word).slice(0, 12);
  };

  const hide = () => {
    list.hidden = true;
    chosen = -1;
    text.removeAttribute("aria-activedescendant");
  };

  const mark = (at) => {
    chosen = at;
    [...list.children].forEach((item, nth) => item.setAttribute("aria-selected", String(nth === at)));
    const item = list.children[at];
    if (item) {
      item.scrollIntoView({ block: "nearest" });
      text.setAttribute("aria-activedescendant", item.id);
    }
  };

  const take = (at) => {
    const name = list.children[at].dataset.name;
    const caret = text.selectionStart;
    text.setRangeText(name, start, caret, "end");
    hide();
    text.focus();
  };

  const offer = (all) => {
    const before = text.value.slice(0, text.selectionStart);
    const word = (before.match(/[\w.]*$/) || [""])[0];
    start = before.length - word.length;
    const names = word.length > 1 || all ? found(word) : [];
    list.replaceChildren(
      ...names.map(([name, of], nth) => {
        const item = document.createElement("li");
        item.id = `name-${nth}`;
        item.setAttribute("role", "option");
        item.setAttribute("aria-selected", "false");
        item.dataset.name = name;
        item.textContent = name;
        if (of) {
          const small = document.createElement("small");
          small.textContent = of;
          item.append(small);
        }
        return item;
      }),
    );
    list.hidden = names.length === 0;
    said.textContent = names.length ? `${names.length} names; the arrow keys choose` : "";
    chosen = -1;
  };

  text.addEventListener("input", () => offer(false));
  text.addEventListener("blur", () => setTimeout(hide, 150));
  text.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      text.form.requestSubmit();
    } else if (event.key === " " && event.ctrlKey) {
      event.preventDefault();
      offer(true);
    } else if (!list.hidden && (event.key === "ArrowDown" || event.key === "ArrowUp")) {
      event.preventDefault();
      const step = event.key === "ArrowDown" ? 1 : -1;
      mark((chosen + step + list.children.length) % list.children.length);
    } else if (!list.hidden && event.key === "Escape") {
      hide();
    } else if (!list.hidden && (event.key === "Tab" || event.key === "Enter") && chosen >= 0) {
      event.preventDefault();
      take(chosen);
    }
  });
  list.addEventListener("mousedown", (event) => {
    const item = event.target.closest("li");
    if (item) {
      event.preventDefault();
      take([...list.children].indexOf(item));
    }
  });
})();
