// The sheet of questions: filters and search, a list, and the question that is open.
"use strict";
(() => {
  const { h } = vico;
  const MORE = 60;

  vico.questions = (route) => {
    const filters = {};
    for (const { name } of vico.store.summary.facets) if (route.query.has(name)) filters[name] = route.query.get(name);
    const sheet = { filters, text: route.query.get("q") || "", open: route.query.get("id"), rows: [], drawn: 0, view: null,
      hideAnswers: route.query.has("hide") };
    sheet.list = h("ol", { class: "question-list", "aria-label": "Questions that fit" });
    sheet.count = h("p", { class: "found" });
    sheet.place = h("div", { class: "question-place" });
    sheet.end = h("div", { class: "list-end" });
    const element = h("div", { class: "questions" },
      h("h1", { class: "unseen" }, "Questions"),
      filterBar(sheet),
      h("div", { class: "columns-2" },
        h("div", { class: "list-side" }, sheet.count, h("div", { class: "list-scroll", tabindex: -1 }, sheet.list, sheet.end)), sheet.place));
    const watcher = new IntersectionObserver((seen) => { if (seen.some((one) => one.isIntersecting)) drawMore(sheet); },
      { rootMargin: "600px" });
    watcher.observe(sheet.end);
    const stop = keys(sheet);
    let gone = false;
    search(sheet, () => gone);
    return { element, leave: () => { gone = true; sheet.searching = null; watcher.disconnect(); stop(); } };
  };

  const address = (sheet, id) => {
    const query = new URLSearchParams(sheet.filters);
    if (sheet.text) query.set("q", sheet.text);
    if (sheet.hideAnswers) query.set("hide", "");
    if (id) query.set("id", id);
    const said = query.toString();
    return `#/questions${said && `?${said}`}`;
  };

  const filterBar = (sheet) => {
    let waiting = 0;
    const again = () => { history.replaceState(null, "", address(sheet)); sheet.open = null; search(sheet, () => false); };
    const searchBox = h("input", { type: "search", id: "search", value: sheet.text, placeholder: "Search in the words  ( / )",
      "aria-label": "Search in questions, options and answers", autocomplete: "off", spellcheck: "false",
      oninput: (event) => {
        sheet.text = event.target.value;
        clearTimeout(waiting);
        waiting = setTimeout(again, 150);
      } });
    const hide = h("label", { class: "check" }, h("input", { type: "checkbox", id: "hide-answers", checked: sheet.hideAnswers,
      onchange: (event) => {
        sheet.hideAnswers = event.target.checked;
        history.replaceState(null, "", address(sheet, sheet.open));
        if (sheet.view) sheet.view.reveal(!sheet.hideAnswers);
      } }), "Hide answers");
    return h("form", { class: "filters", role: "search", onsubmit: (event) => event.preventDefault() },
      searchBox, vico.store.summary.facets.filter((facet) => facet.values.length > 1).map((facet) => select(sheet, facet, again)), hide);
  };

  const select = (sheet, facet, again) => h("label", { class: sheet.filters[facet.name] ? "choice on" : "choice" }, facet.name,
    h("select", { name: facet.name, onchange: (event) => {
      if (event.target.value) sheet.filters[facet.name] = event.target.value;
      else delete sheet.filters[facet.name];
      event.target.parentElement.className = event.target.value ? "choice on" : "choice";
      again();
    } },
    h("option", { value: "" }, "any"),
    facet.values.map(({ value, count }) => h("option", { value, selected: sheet.filters[facet.name] === value },
      `${vico.words(value)} (${vico.number(count)})`))));

  const search = async (sheet, isGone) => {
    const mine = sheet.searching = {};
    Object.assign(sheet, { rows: [], drawn: 0, source: null, wanted: MORE, total: 0, complete: false });
    sheet.list.replaceChildren();
    if (sheet.open) await openById(sheet, sheet.open);
    for await (const found of vico.store.search(sheet.filters, sheet.text)) {
      if (isGone() || sheet.searching !== mine) return;
      sheet.rows.push(...found.rows);
      Object.assign(sheet, { total: found.total, complete: found.complete });
      sheet.count.textContent = `${vico.count(found.total, "question")}${found.complete || vico.store.summary.served ? "" : " so far…"}`;
      drawMore(sheet);
      if (!sheet.open && sheet.rows.length) open(sheet, sheet.rows[0]);
      if (vico.store.summary.served && !found.complete) {
        await new Promise((done) => { sheet.more = done; drawMore(sheet); });
        if (sheet.searching !== mine) return;
      }
    }
    vico.say(`${vico.count(sheet.total, "question")} found`);
    if (!sheet.total) sheet.place.replaceChildren(h("p", { class: "empty" }, "No question fits. Take a filter away, or search for fewer words."));
  };

  const drawMore = (sheet) => {
    const near = () => sheet.end.getBoundingClientRect().top < innerHeight + 600;
    while (sheet.drawn < sheet.rows.length && (sheet.drawn < MORE || near())) {
      const some = sheet.rows.slice(sheet.drawn, sheet.drawn + MORE);
      sheet.list.append(...some.map((row) => item(sheet, row)));
      sheet.drawn += some.length;
    }
    if (sheet.more && sheet.drawn >= sheet.rows.length && near()) {
      const more = sheet.more;
      sheet.more = null;
      more();
    }
  };

  const item = (sheet, row) => h("li", {}, h("a", {
    href: address(sheet, row.sample_id), "data-id": row.sample_id, "aria-current": row.sample_id === sheet.open ? "true" : null,
    onclick: (event) => { event.preventDefault(); open(sheet, row, true); } },
  h("span", { class: "kind" }, vico.words(row.kind)),
  h("span", { class: "preview" }, preview(row.question)),
  h("span", { class: "where" }, row.video_name || row.dataset,
    row.distance_s === null ? "" : ` · ${vico.duration(row.distance_s)} apart`)));

  // What tells one question from the next: kinds share their first line.
  const preview = (question) => {
    const lines = question.split("\n");
    return lines.length > 1 ? lines.slice(1).join(" ") : lines[0];
  };

  const openById = async (sheet, id) => {
    const row = await vico.store.question(id);
    if (row) open(sheet, row);
    else sheet.place.replaceChildren(h("p", { class: "empty" }, "There is no question of this id here."));
  };

  const open = (sheet, row, chosen) => {
    sheet.open = row.sample_id;
    if (chosen) history.replaceState(null, "", address(sheet, row.sample_id));
    sheet.view = vico.questionView(row, sheet.hideAnswers);
    sheet.place.replaceChildren(sheet.view.element);
    for (const link of sheet.list.querySelectorAll("[aria-current]")) link.removeAttribute("aria-current");
    const link = sheet.list.querySelector(`[data-id="${CSS.escape(row.sample_id)}"]`);
    if (link) {
      link.setAttribute("aria-current", "true");
      if (chosen) link.scrollIntoView({ block: "nearest" });
    }
    if (chosen && matchMedia("(max-width: 860px)").matches) sheet.place.scrollIntoView({ block: "start" });
    vico.say(vico.firstLine(row.question));
  };

  const step = (sheet, by) => {
    const at = sheet.rows.findIndex((row) => row.sample_id === sheet.open) + by;
    if (at >= sheet.drawn) drawMore(sheet);
    if (sheet.rows[at]) open(sheet, sheet.rows[at], true);
  };

  const keys = (sheet) => vico.keys({
    j: () => step(sheet, 1), k: () => step(sheet, -1),
    "/": () => document.getElementById("search").focus(),
    h: () => document.getElementById("hide-answers").click(),
    ...Object.fromEntries([1, 2, 3, 4, 5, 6, 7, 8, 9].map((n) => [String(n), () => sheet.view && sheet.view.show(n - 1)])),
  });
})();
