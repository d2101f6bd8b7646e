"use strict";
// The page's data come as scripts that call cinematic.begin, .part and .detail. Whatever they say is put in as text, never as HTML.
const cinematic = (() => {
  const $ = id => document.getElementById(id);
  const MARKS = { keep: "keep", drop: "drop", wrong: "wrong reason" };
  const KINDS = { candidates: "Clips", rejected: "Rejected", failures: "Failed" };
  const NUMBERS = {
    artifact_score: ["Artifact score", 1], relative_parallax: ["Relative parallax", 100], saliency_kept: ["Saliency kept", 100],
    window_share: ["Size of the crop", 100], people: ["People", 100], largest_component: ["Largest torn piece", 100],
    largest_head_component: ["Largest torn piece on a head", 100], stretched_share: ["Torn, on average", 100],
    background_loss: ["Loss on background", 1], body_loss: ["Loss on bodies", 1], head_loss: ["Loss on heads", 1],
  };
  const SETTINGS = {
    artifact_score: ["max_artifact_score", true], relative_parallax: ["min_parallax", false], window_share: ["min_window", false],
  };
  const CAMERAS = { search: "The search", swing: "Level swing", circle: "Circle", dolly: "Dolly", grid: "Best-covered zoom" };
  const ORDERS = {
    worst: ["highest score", (a, b) => (b.artifact_score ?? -1) - (a.artifact_score ?? -1)],
    best: ["lowest score", (a, b) => (a.artifact_score ?? 1e9) - (b.artifact_score ?? 1e9)],
    newest: ["newest", (a, b) => (b.capture_time ?? "").localeCompare(a.capture_time ?? "")],
    oldest: ["oldest", (a, b) => (a.capture_time ?? "9").localeCompare(b.capture_time ?? "9")],
    path: ["name", (a, b) => (a.path < b.path ? -1 : 1)],
  };
  const GAP = 20, PEOPLE = 0.005, HOVER_MS = 80; // px; share of the frame below which people are passers-by; before a clip loads
  let library, entries = [], shown = [], kind = "candidates", here = 0, columns = 1, cell = 1, open = null, loaded = 0, measure = "artifact_score";
  let marks = {}, nodes = new Map(), details = new Map(), names = new Map(), aspect = 0.75;
  const lines = {}; // thresholds that were dragged

  const el = (tag, attributes = {}, ...children) => {
    const node = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
      if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
      else if (value !== null && value !== undefined && value !== false) node.setAttribute(name, value === true ? "" : value);
    }
    node.append(...children.filter(child => child !== null && child !== undefined));
    return node;
  };
  const fixed = value => (value === null || value === undefined ? "–" : value > 0 && value < 0.005 ? "< 0.01" : value.toFixed(2));
  const percent = share => (share > 0 && share < 0.01 ? `${Number((share * 100).toPrecision(2))} %` : `${(share * 100).toFixed(1)} %`);
  const words = name => name.replaceAll("_", " ");
  const why = entry => entry.detail.replace(/\b[0-9a-f]{16}\b/, id => names.get(id) ?? id); // near-duplicates name each other by id
  const base = path => path.slice(path.lastIndexOf("/") + 1);
  const url = path => path.split("/").map(encodeURIComponent).join("/");
  const version = entry => `${entry.version}/${entry.fingerprint}`;

  // Marks: in this browser, of this page's place, until they are saved to a file
  const place = `cinematic-photos:${location.pathname.replace(/[^/]*$/, "")}`;
  const remember = (key, value) => { try { localStorage.setItem(key, value); } catch { /* private windows keep nothing */ } };
  const recall = key => { try { return localStorage.getItem(key); } catch { return null; } };
  try { marks = JSON.parse(recall(place)) || {}; } catch { marks = {}; }
  const markOf = entry => (marks[entry.photo_id]?.of === version(entry) ? marks[entry.photo_id].mark : null);
  function mark(entry, what) {
    if (markOf(entry) === what) delete marks[entry.photo_id];
    else marks[entry.photo_id] = { mark: what, of: version(entry) };
    remember(place, JSON.stringify(marks));
    tellMarks();
    nodes.forEach((node, index) => { if (shown[index] === entry) { node.remove(); nodes.delete(index); } });
    draw();
    if (open === entry) for (const button of $("detail").querySelectorAll("[data-mark]")) button.setAttribute("aria-pressed", markOf(entry) === button.dataset.mark);
  }
  const tellMarks = () => { $("save").replaceChildren("Save", el("span", { class: "long" }, " marks"), ` (${Object.keys(marks).length})`); };
  function save() {
    const text = JSON.stringify({ format: 1, marks }, null, 1);
    const link = el("a", { href: URL.createObjectURL(new Blob([text], { type: "application/json" })), download: "marks.json" });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  }

  // Filters
  const wanted = () => {
    const find = $("find").value.toLowerCase(), low = parseFloat($("low").value), high = parseFloat($("high").value);
    const since = $("since").value, until = $("until").value, people = $("people").value, marked = $("marked").value, reason = $("reason").value;
    return entry =>
      entry.kind === kind && (!find || entry.path.toLowerCase().includes(find)) && (!reason || entry.reason === reason) &&
      (isNaN(low) || entry.artifact_score >= low && entry.artifact_score !== null) && (isNaN(high) || entry.artifact_score !== null && entry.artifact_score <= high) &&
      (!since || entry.capture_time && entry.capture_time.slice(0, 10) >= since) && (!until || entry.capture_time && entry.capture_time.slice(0, 10) <= until) &&
      (!people || entry.people !== null && (entry.people >= PEOPLE) === (people === "yes")) &&
      (!marked || (markOf(entry) || "none") === marked);
  };
  function filter() {
    shown = entries.filter(wanted()).sort(ORDERS[$("order").value][1]);
    here = 0;
    const all = entries.reduce((n, entry) => n + (entry.kind === kind), 0);
    $("count").textContent = (shown.length === all ? `${all}` : `${shown.length} of ${all}`) + (loaded < library.parts ? ", loading …" : "");
    layout();
  }
  function show(next) {
    kind = next;
    for (const button of $("tabs").children) button.setAttribute("aria-current", button.dataset.kind === kind);
    const scores = kind === "scores";
    $("filters").hidden = $("grid").hidden = $("more-filters").hidden = scores;
    $("scores").hidden = !scores;
    const reasons = [...new Set(entries.filter(entry => entry.kind === kind && entry.reason).map(entry => entry.reason))].sort();
    $("reason").replaceChildren(el("option", { value: "" }, "any"), ...reasons.map(reason => el("option", { value: reason }, words(reason))));
    $("reason").parentElement.hidden = !reasons.length;
    $("people").parentElement.hidden = $("since").closest("label").hidden = kind !== "candidates";
    $("low").closest("label").hidden = kind === "failures";
    if (kind !== "candidates") for (const id of ["people", "since", "until"]) $(id).value = "";
    if (kind === "failures") $("low").value = $("high").value = "";
    if (scores) plots(); else filter();
  }
  function tabs() {
    const count = name => entries.reduce((n, entry) => n + (entry.kind === name), 0);
    $("tabs").replaceChildren(
      ...Object.entries(KINDS).map(([name, text]) => el("button", { type: "button", "data-kind": name, "aria-current": name === kind, onclick: () => show(name) }, text, el("span", {}, count(name).toLocaleString("en")))),
      el("button", { type: "button", "data-kind": "scores", "aria-current": kind === "scores", onclick: () => show("scores") }, "Thresholds"));
  }

  // The grid draws what is in view: rows of equal height, placed by their number
  function layout() {
    const list = kind !== "candidates", width = $("grid").clientWidth;
    columns = list ? 1 : Math.max(2, Math.floor((width + GAP) / (210 + GAP)));
    const across = (width - GAP * (columns - 1)) / columns;
    cell = list ? (width < 600 ? 84 : 60) : Math.round(across / aspect) + 72;
    nodes.forEach(node => node.remove());
    nodes.clear();
    $("grid").querySelector(".empty")?.remove();
    if (!shown.length) $("grid").append(el("p", { class: "empty" }, loaded < library.parts ? "Loading …" : "Nothing here: no photo is like this."));
    $("grid").style.height = `${Math.ceil(shown.length / columns) * cell}px`;
    draw();
  }
  function draw() {
    if (kind === "scores" || !library) return;
    const top = $("grid").getBoundingClientRect().top;
    const first = Math.max(0, Math.floor((-top - 300) / cell)) * columns;
    const last = Math.min(shown.length, Math.ceil((innerHeight - top + 300) / cell) * columns);
    for (const [index, node] of nodes) if (index < first || index >= last) { node.remove(); nodes.delete(index); }
    const width = $("grid").clientWidth, across = (width - GAP * (columns - 1)) / columns;
    for (let index = first; index < last; index++) {
      let node = nodes.get(index);
      if (!node) {
        node = kind === "candidates" ? card(shown[index], index, across) : row(shown[index], index);
        node.style.transform = `translate(${(index % columns) * (across + GAP)}px, ${Math.floor(index / columns) * cell}px)`;
        node.style.width = `${across}px`;
        if (kind !== "candidates") node.style.height = `${cell}px`;
        node.id = `photo-${index}`;
        nodes.set(index, node);
        $("grid").append(node);
      }
      node.setAttribute("aria-selected", index === here);
      node.classList.toggle("here", index === here && document.activeElement === $("grid"));
    }
  }
  // Who sees nothing hears the photo that the keys have come to.
  const tell_here = () => $("grid").setAttribute("aria-activedescendant", `photo-${here}`);
  const badge = (entry, extra = "") => markOf(entry) && el("span", { class: `mark ${markOf(entry)} ${extra}` }, MARKS[markOf(entry)]);
  const about = entry => `${entry.path}, artifact score ${fixed(entry.artifact_score)}`;
  function card(entry, index, across) {
    const frame = el("div", { class: "frame", style: `height:${Math.round(across / aspect)}px` },
      el("img", { src: `../${url(entry.poster)}`, alt: about(entry), loading: "lazy", decoding: "async" }), badge(entry));
    const node = el("article", { class: "card", role: "option" }, frame,
      el("p", {}, el("span", { class: "name", title: entry.path }, base(entry.path)), el("span", {}, fixed(entry.artifact_score))),
      el("p", { class: "quiet" }, el("span", {}, entry.capture_time?.slice(0, 10) ?? "no date"), el("span", {}, entry.motion)));
    let timer;
    node.addEventListener("pointerenter", event => { if (event.pointerType !== "touch") timer = setTimeout(() => play(frame, entry), HOVER_MS); });
    node.addEventListener("pointerleave", event => { if (event.pointerType !== "touch") { clearTimeout(timer); stop(frame); } });
    // A finger cannot hover: the first tap plays, the next opens; the name opens at once.
    let touched = false;
    node.addEventListener("pointerdown", event => { touched = event.pointerType === "touch"; });
    node.addEventListener("click", event => {
      here = index;
      if (touched && frame.contains(event.target) && !frame.querySelector(".clip")) {
        document.querySelectorAll(".frame").forEach(stop);
        play(frame, entry);
      } else show_detail(entry);
    });
    return node;
  }
  const moving = (source, attributes) => /\.(webp|gif)$/.test(source) ? el("img", { src: source, alt: "", ...attributes })
    : el("video", { src: source, muted: true, loop: true, playsinline: true, preload: "auto", ...attributes });
  function start(video) {
    if (video.tagName !== "VIDEO") return;
    video.muted = true; // the attribute alone does not count for elements that scripts make
    video.play().catch(() => {});
  }
  function play(frame, entry) {
    if (frame.querySelector(".clip") || !frame.isConnected) return;
    const clip = moving(`../${url(entry.clip)}`, { class: "clip" });
    frame.append(clip);
    start(clip);
  }
  function stop(frame) {
    const clip = frame.querySelector("video.clip, img.clip");
    if (!clip) return;
    clip.removeAttribute("src"); // lets go of the file
    clip.remove();
  }
  function row(entry, index) {
    return el("article", { class: "card row", role: "option", onclick: () => { here = index; show_detail(entry); } },
      el("span", { class: "name", title: entry.path }, entry.path), el("span", {}, words(entry.reason)), el("span", { class: "quiet sentence" }, why(entry)),
      badge(entry, "inline") ?? el("span"));
  }
  function move(step) {
    here = Math.min(Math.max(here + step, 0), shown.length - 1);
    const top = $("grid").getBoundingClientRect().top + scrollY + Math.floor(here / columns) * cell;
    const head = 90;
    if (top < scrollY + head) scrollTo(0, top - head);
    else if (top + cell > scrollY + innerHeight) scrollTo(0, top + cell - innerHeight + 8);
    nodes.forEach((node, index) => { const frame = node.querySelector(".frame"); if (frame && index !== here) stop(frame); });
    draw();
    tell_here();
    const frame = nodes.get(here)?.querySelector(".frame");
    if (frame) play(frame, shown[here]);
  }

  // One photo
  function show_detail(entry) {
    open = entry;
    const dialog = $("detail"), clip = entry.clip;
    const step = by => { const index = shown.indexOf(open) + by; if (shown[index]) { here = index; show_detail(shown[index]); } };
    const facts = el("dl");
    const fact = (name, value) => facts.append(el("dt", {}, name), el("dd", {}, value));
    if (entry.reason) { fact(KINDS[entry.kind], words(entry.reason)); fact("Why", why(entry)); fact("Stage", entry.stage); }
    if (entry.capture_time) fact("Taken", entry.capture_time.replace("T", " "));
    if (entry.motion) fact("Camera", `${entry.motion}, ${Math.round(entry.direction * 180 / Math.PI)}° across, ${Math.round(entry.climb * 180 / Math.PI)}° in`);
    for (const [name, [text, times]] of Object.entries(NUMBERS)) if (entry[name] !== null) fact(text, times === 100 ? percent(entry[name]) : fixed(entry[name]));
    if (entry.width) fact("Clip", `${entry.width} × ${entry.height}`);
    fact("Photo id", entry.photo_id);
    const frame = clip ? el("div", { class: "frame", style: `aspect-ratio:${entry.width}/${entry.height}` },
      el("img", { src: `../${url(entry.poster)}`, alt: about(entry) }), moving(`../${url(clip)}`, { class: "clip", "aria-label": `Clip of ${entry.path}` })) : null;
    const more = el("div", { id: "more" });
    dialog.replaceChildren(
      el("div", { class: "bar" }, el("h2", {}, entry.path),
        ...Object.entries(MARKS).map(([name, text]) => el("button", { type: "button", class: name, "data-mark": name, "aria-pressed": markOf(entry) === name, title: `key ${name[0]}`, onclick: () => mark(open, name) }, text)),
        el("button", { type: "button", "aria-label": "Previous", onclick: () => step(-1) }, "←"), el("button", { type: "button", "aria-label": "Next", onclick: () => step(1) }, "→"),
        el("button", { type: "button", "aria-label": "Close", onclick: () => dialog.close() }, "✕")),
      el("div", { class: frame ? "top" : "" }, frame ?? "", facts), more);
    dialog.step = step;
    if (!dialog.open) dialog.showModal();
    dialog.scrollTop = 0;
    dialog.querySelectorAll("video").forEach(start);
    if (library.details.includes(entry.photo_id)) {
      if (details.has(entry.photo_id)) pictures(entry); else load(`details/${entry.photo_id}/detail.js?${library.build}`);
    } else if (entry.kind === "candidates" || entry.artifact_score !== null) {
      more.append(el("h3", {}, "Depth, regions, saliency, camera"), el("p", { class: "quiet" }, "They are not made for this photo. To make them: "),
        el("code", {}, `cinematic-photos review OUT --input LIBRARY --photo ${entry.photo_id}`));
    }
  }
  function pictures(entry) {
    const told = details.get(entry.photo_id), folder = `details/${entry.photo_id}`, more = $("more");
    const figure = (name, text) => el("figure", {}, el("img", { src: `${folder}/${name}.jpg`, alt: `${text} of ${entry.path}`, loading: "lazy" }), el("figcaption", {}, text));
    const cameras = Object.entries(CAMERAS).map(([name, text]) => {
      const numbers = told.cameras[name];
      if (!numbers) return el("figure", {}, el("figcaption", {}, text, el("br"), "cannot be done here"));
      return el("figure", {}, moving(`${folder}/${name}.mp4`, { poster: `${folder}/${name}-still.jpg`, "aria-label": `${text} of ${entry.path}` }), el("figcaption", {}, text, el("br"), `score ${fixed(numbers.artifact_score)}`));
    });
    more.replaceChildren(
      told.same ? "" : el("p", { class: "quiet" }, "These pictures were made with another version or other networks than the clip."),
      el("h3", {}, "The same photo, other cameras, the same parallax"), el("div", { class: "cameras" }, ...cameras),
      el("h3", {}, "What was seen"), el("div", { class: "pictures" }, figure("photo", "Photo"), figure("depth", "Depth: near is bright"), figure("regions", "Regions: heads green, bodies blue"), figure("saliency", "Saliency, and the crop")),
      el("h3", {}, "Where it tears"), el("div", { class: "pictures" }, figure("artifacts-first", "First frame, torn in red"), figure("artifacts-last", "Last frame, torn in red")),
      el("h3", {}, "The camera's path"), el("div", { class: "whole" }, figure("path", "The camera's path from above")));
    more.querySelectorAll("video").forEach(start);
  }

  // Histograms
  const svg = (tag, attributes, ...children) => {
    const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
    for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
    node.append(...children);
    return node;
  };
  function plots() {
    const section = $("scores"), [setting, highIsBad] = SETTINGS[measure];
    const choice = el("select", { id: "measure", onchange: event => { measure = event.target.value; plots(); } },
      ...Object.keys(SETTINGS).map(name => el("option", { value: name, selected: name === measure }, NUMBERS[name][0].toLowerCase())));
    const scored = entries.filter(entry => entry[measure] !== null), today = library.thresholds[setting];
    const values = scored.map(entry => entry[measure]).sort((a, b) => a - b);
    const most = values.length ? values[Math.floor(0.99 * (values.length - 1))] : 1;
    const end = measure === "artifact_score" ? Math.max(2 * (today ?? 0), 0.2, Math.min(most, 4 * (today ?? most))) : Math.max(1.15 * (today ?? 0), 1.05 * most);
    const line = () => lines[setting] ?? today ?? end / 2;
    const told = el("p", { class: "told", id: "told", "aria-live": "polite" }), marked = el("p", { class: "quiet" });
    const groups = new Map();
    for (const entry of scored) {
      const name = entry.kind === "candidates" ? "Clips" : `Rejected: ${words(entry.reason)}`;
      if (!groups.has(name)) groups.set(name, []);
      groups.get(name).push(entry[measure]);
    }
    const W = Math.min(900, $("main").clientWidth - 32), H = 150, BINS = W < 500 ? 30 : 60, grips = [];
    const drawn = [...groups].map(([name, found]) => {
      const bins = new Array(BINS).fill(0);
      for (const value of found) bins[Math.min(BINS - 1, Math.floor(value / end * BINS))]++;
      const tallest = Math.max(...bins);
      const bars = bins.map((n, i) => svg("rect", { x: i * W / BINS + 1, width: W / BINS - 2, y: H - n / tallest * (H - 20), height: n / tallest * (H - 20), rx: 2 }));
      const grip = svg("g", { class: "grip", tabindex: 0, role: "slider", "aria-label": `Threshold of the ${NUMBERS[measure][0].toLowerCase()}`, "aria-valuemin": 0, "aria-valuemax": end },
        svg("rect", { class: "hit", x: -14, y: 0, width: 28, height: H }), svg("line", { class: "line", x1: 0, x2: 0, y1: 4, y2: H }), svg("circle", { cx: 0, cy: 4, r: 6 }));
      grips.push([grip, bars]);
      const plot = svg("svg", { viewBox: `0 0 ${W} ${H + 22}`, role: "group", "aria-label": name }, ...bars, svg("line", { class: "axis", x1: 0, x2: W, y1: H, y2: H }),
        ...(W < 500 ? [0, 0.5, 1] : [0, 0.25, 0.5, 0.75, 1]).map(part => svg("text", { x: part * W, y: H + 17, "text-anchor": part === 0 ? "start" : part === 1 ? "end" : "middle" }, (part * end).toFixed(end < 0.5 ? 3 : 2) + (part === 1 ? " and above" : ""))), grip);
      const drag = event => { const box = plot.getBoundingClientRect(); set((event.clientX - box.left) / box.width * end); };
      grip.addEventListener("pointerdown", event => { grip.setPointerCapture(event.pointerId); drag(event); });
      grip.addEventListener("pointermove", event => { if (grip.hasPointerCapture(event.pointerId)) drag(event); });
      grip.addEventListener("keydown", event => {
        const by = { ArrowRight: 1, ArrowUp: 1, ArrowLeft: -1, ArrowDown: -1 }[event.key];
        if (by) { event.preventDefault(); set(line() + by * end / 200); }
      });
      return el("div", { class: "plot" }, el("h3", {}, `${name}, ${found.length.toLocaleString("en")}`), plot);
    });
    const passes = value => (highIsBad ? value <= line() : value >= line());
    function set(value) {
      lines[setting] = Math.min(Math.max(Number(value.toPrecision(3)), 0), end);
      update();
    }
    function update() {
      const kept = values.filter(passes).length, option = `--${setting.replaceAll("_", "-")} ${Number(line().toPrecision(3))}`;
      told.replaceChildren(el("code", {}, option), ` keeps ${kept.toLocaleString("en")} of ${values.length.toLocaleString("en")}`,
        today === undefined ? "" : el("span", { class: "quiet" }, `  (the run had ${today})`));
      const count = name => { const found = scored.filter(entry => markOf(entry) === name); return [found.filter(entry => passes(entry[measure])).length, found.length]; };
      const [good, allGood] = count("keep"), [bad, allBad] = count("drop");
      marked.textContent = allGood + allBad ? `Of ${allGood} marked keep it keeps ${good}, of ${allBad} marked drop ${bad}.` : "Mark clips with k and d, and this says what the line does to them.";
      for (const [grip, bars] of grips) {
        grip.setAttribute("transform", `translate(${line() / end * W} 0)`);
        grip.setAttribute("aria-valuenow", line());
        bars.forEach((bar, i) => bar.setAttribute("class", passes((i + 0.5) / BINS * end) ? "in" : ""));
      }
    }
    const reasons = new Map();
    for (const entry of entries) if (entry.reason) reasons.set(entry.reason, (reasons.get(entry.reason) ?? 0) + 1);
    const largest = Math.max(...reasons.values());
    section.replaceChildren(el("p", {}, el("label", {}, "Histogram of the ", choice)), told, marked, ...drawn, el("h3", {}, "Why photos have no clip"),
      el("div", { class: "reasons" }, ...[...reasons].sort((a, b) => b[1] - a[1]).map(([name, n]) => el("div", {}, el("span", {}, words(name)), el("i", { style: `width:${n / largest * 100}%` }), el("span", {}, n.toLocaleString("en"))))));
    update();
  }

  // Keys
  addEventListener("keydown", event => {
    const dialog = $("detail");
    if (event.ctrlKey || event.metaKey || event.altKey || /^(INPUT|SELECT)$/.test(event.target.tagName)) return;
    const letter = { k: "keep", d: "drop", w: "wrong" }[event.key.toLowerCase()];
    const entry = dialog.open ? open : document.activeElement === $("grid") ? shown[here] : null;
    if (letter && entry) { mark(entry, letter); event.preventDefault(); return; }
    if (dialog.open) {
      const by = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (by) { dialog.step(by); event.preventDefault(); }
      return;
    }
    if (document.activeElement === document.body && /^Arrow(Left|Right)$/.test(event.key)) $("grid").focus();
    if (document.activeElement !== $("grid") || !shown.length) return;
    const by = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: columns, ArrowUp: -columns }[event.key];
    if (by) { move(by); event.preventDefault(); }
    else if (event.key === "Enter") { show_detail(shown[here]); event.preventDefault(); }
    else if (event.key === "Escape") $("grid").blur();
  });

  function load(source) {
    document.head.append(el("script", { src: source, onerror: () => { $("count").textContent = `${source.split("?")[0]} is missing: make the page again.`; } }));
  }
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const theme = () => { document.documentElement.dataset.theme = recall("cinematic-photos:theme") ?? (dark.matches ? "dark" : "light"); };
  theme();
  dark.addEventListener("change", theme);
  $("theme").addEventListener("click", () => {
    const next = document.documentElement.dataset.theme === "dark" ? "light" : "dark";
    document.documentElement.dataset.theme = next;
    remember("cinematic-photos:theme", next);
  });
  $("more-filters").addEventListener("click", () => {
    const shown_now = document.body.classList.toggle("filtering");
    $("more-filters").setAttribute("aria-expanded", shown_now);
    draw();
  });
  $("save").addEventListener("click", save);
  $("filters").addEventListener("input", filter);
  $("filters").addEventListener("submit", event => event.preventDefault());
  $("clear").addEventListener("click", () => { $("filters").reset(); filter(); });
  $("detail").addEventListener("close", () => { open = null; $("detail").replaceChildren(); $("grid").focus({ preventScroll: true }); move(0); });
  $("grid").addEventListener("focus", draw);
  $("grid").addEventListener("blur", draw);
  let waiting = false;
  addEventListener("scroll", () => { if (!waiting) { waiting = true; requestAnimationFrame(() => { waiting = false; draw(); }); } }, { passive: true });
  addEventListener("resize", () => { if (library) kind === "scores" ? plots() : layout(); });
  tellMarks();
  $("order").append(...Object.entries(ORDERS).map(([name, [text]]) => el("option", { value: name }, text)));

  return {
    begin(told) {
      library = told;
      if (told.entries < told.photos) $("main").prepend(el("p", { class: "quiet" }, `A fair sample: ${told.entries.toLocaleString("en")} of ${told.photos.toLocaleString("en")} photos.`));
      tabs();
      show(kind);
      if (told.parts) load(`data/part-00000.js?${told.build}`);
    },
    part(build, number, rows) {
      if (build !== library.build) { $("count").textContent = "The page was made anew: reload it."; return; }
      for (const row of rows) {
        const entry = Object.fromEntries(library.columns.map((name, i) => [name, row[i]]));
        entries.push(entry);
        names.set(entry.photo_id, entry.path);
      }
      loaded = number + 1;
      if (number === 0) {
        const first = entries.find(entry => entry.kind === "candidates");
        if (first) aspect = first.width / first.height;
      }
      if (loaded < library.parts) load(`data/part-${String(loaded).padStart(5, "0")}.js?${build}`);
      if (number === 0 || loaded === library.parts) { tabs(); show(kind); }
    },
    detail(id, told) { details.set(id, told); if (open?.photo_id === id) pictures(open); },
  };
})();
