// What only the page knows and no widget tells: the size of the window, its colours, its address; names for readers
// of the screen; and whether the program behind it still answers.
const MISSED = 4, BEAT = 2500, REST = 150, NARROW = 1010;

function nameParts(root, alt) {
  for (const box of root.querySelectorAll(".widget-inline-hbox, .widget-inline-vbox")) {
    const label = box.querySelector(".widget-label");
    const name = label && label.textContent.trim();
    if (!name) continue;
    const readout = box.querySelector(".widget-readout");
    for (const part of box.querySelectorAll(".noUi-handle, select, input, textarea, .widget-readout")) {
      if (part.getAttribute("aria-label") !== name) part.setAttribute("aria-label", name);
    }
    const handle = box.querySelector(".noUi-handle");
    if (handle && readout) handle.setAttribute("aria-valuetext", readout.textContent);
  }
  for (const [place, name] of Object.entries({ "workbench-export": "format of the file" })) {
    for (const select of root.querySelectorAll(`.${place} select`)) select.setAttribute("aria-label", name);
  }
  for (const button of root.querySelectorAll("button.jupyter-button.widget-toggle-button")) {
    button.setAttribute("aria-pressed", String(button.classList.contains("mod-active")));
  }
  // How many files were chosen is no news: the button names the one that is shown.
  for (const button of root.querySelectorAll("button.widget-upload, button.jupyter-widget-upload")) {
    for (const part of [...button.childNodes]) {
      if (part.nodeType === Node.TEXT_NODE && /\(\d+\)$/.test(part.data)) part.data = part.data.replace(/ ?\(\d+\)$/, "");
    }
  }
  for (const image of root.querySelectorAll("img.widget-image, img.jupyter-widget-image")) {
    if (image.alt !== alt) image.alt = alt;
    image.draggable = false;
  }
  for (const line of root.querySelectorAll(".workbench-live")) line.setAttribute("aria-live", "polite");
  for (const bar of root.querySelectorAll(".progress")) bar.setAttribute("aria-label", "simulation done");
}

function debounced(wait, act) {
  let timer;
  return () => { clearTimeout(timer); timer = setTimeout(act, wait); };
}

// Whether the page has been shown before: a view that comes back tells the address what it missed.
let shown = false;

function render({ model, el }) {
  el.classList.add("workbench-hidden");
  const app = model.get("app"), quiet = [], on = (target, event, act, options) => {
    target.addEventListener(event, act, options);
    quiet.push(() => target.removeEventListener(event, act, options));
  };
  const night = matchMedia("(prefers-color-scheme: dark)");
  let root = null;

  let measured = "";
  const measure = debounced(REST, () => {
    const stage = root && root.querySelector(".workbench-stage"), picture = root && root.querySelector("img");
    if (!stage || !stage.clientWidth || !picture) return;
    // Lines that come and go above the picture must not change its size: only the window does.
    const key = [stage.clientWidth, innerHeight, devicePixelRatio, night.matches, root.className].join();
    if (key === measured) return;
    measured = key;
    const below = 11 * parseFloat(getComputedStyle(root).fontSize);
    const free = innerHeight - below - (picture.getBoundingClientRect().top + scrollY);
    model.set("window", {
      width: stage.clientWidth, height: Math.round(free > 0.4 * innerHeight ? free : innerHeight - below),
      ratio: devicePixelRatio, night: night.matches, narrow: root.clientWidth <= NARROW,
    });
    model.save_changes();
  });
  const name = debounced(60, () => root && nameParts(root, model.get("alt")));

  const begin = () => {
    root = el.closest(".workbench");
    if (!root) { setTimeout(begin, 50); return; }
    const sizes = new ResizeObserver(measure);
    sizes.observe(root);
    const changes = new MutationObserver(() => { name(); measure(); });
    changes.observe(root, { childList: true, subtree: true, characterData: true, attributeFilter: ["class"] });
    quiet.push(() => sizes.disconnect(), () => changes.disconnect());
    on(window, "resize", measure);
    on(night, "change", measure);
    on(root, "keydown", (event) => {
      if ((event.ctrlKey || event.metaKey) && event.key === "z" && !event.target.matches("input, textarea")) {
        event.preventDefault();
        model.send({ undo: true });
      }
    });
    measure();
    name();
  };
  begin();
  // A click, which only a program can make here, asks for an answer: all that was sent before has then been dealt with.
  el.dataset.answers = 0;
  on(el, "click", () => model.send({ beat: true }));
  model.on("change:alt", name);
  model.on("msg:custom", (message) => {
    if (message.show) {
      setTimeout(() => root.querySelector(message.show)?.scrollIntoView({ block: "nearest", behavior: "smooth" }), 120);
    }
    if (message.beat) el.dataset.answers++;
    if (message.copy) navigator.clipboard?.writeText(message.copy);
  });
  // The input of an upload is not in the page: it is met when a file has been chosen.
  on(document, "change", (event) => {
    const file = event.target.files && event.target.files[0];
    if (file && file.size > model.get("largest")) {
      event.stopImmediatePropagation();
      event.target.value = "";
      model.send({ too_large: file.name, bytes: file.size });
    }
  }, true);

  if (app) {
    const search = () => location.search.replace(/^\?/, "");
    const tell = (replaces) => {
      const query = model.get("query");
      if (query === search()) return;
      const address = location.pathname + (query && "?" + query);
      history[replaces ? "replaceState" : "pushState"](null, "", address);
    };
    model.on("change:query", () => tell(model.get("replace")));
    if (shown) tell(true);
    shown = true;
    on(window, "popstate", () => model.send({ asked: search() }));
    let waiting = 0, banner = null;
    model.on("msg:custom", (message) => {
      if (!message.beat) return;
      waiting = 0;
      banner?.remove();
      banner = null;
    });
    const beats = setInterval(() => {
      if (waiting++ < MISSED) { try { model.send({ beat: true }); } catch { /* counted as missed */ } return; }
      if (banner) return;
      banner = document.createElement("div");
      banner.className = "workbench-gone";
      banner.setAttribute("role", "alert");
      banner.textContent = "The program behind this page no longer answers. The address keeps the state: ";
      const again = document.createElement("button");
      again.textContent = "open it again";
      again.onclick = () => location.reload();
      banner.append(again);
      document.body.append(banner);
    }, BEAT);
    quiet.push(() => clearInterval(beats));
  }
  return () => quiet.forEach((stop) => stop());
}

export default { render };
