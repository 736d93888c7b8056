// Charts drawn by hand as SVG; each has a title that says what it shows and a table that says the same.
"use strict";
(() => {
  const { h, s } = vico;
  const WIDTH = 520, ROW = 26, LABEL = 168, VALUE = 76;

  const chart = (title, note, svg, head, rows) => h("figure", { class: "chart" },
    h("figcaption", {}, h("h3", {}, title), note && h("p", { class: "note" }, note)),
    svg,
    h("div", { class: "unseen" }, h("table", {}, h("caption", {}, title),
      h("thead", {}, h("tr", {}, head.map((name) => h("th", { scope: "col" }, name)))),
      h("tbody", {}, rows.map(([first, ...rest]) =>
        h("tr", {}, h("th", { scope: "row" }, first), rest.map((cell) => h("td", {}, cell))))))));

  const short = (text, letters) => (text.length > letters ? `${text.slice(0, letters - 1)}…` : text);

  // Lying bars, a row each: {label, value, shown, hint?, mark?}; mark is a second value drawn as a line.
  // `narrow` is for a card a third of the page wide, where letters would become too small.
  vico.bars = (title, note, head, rows, most, narrow) => {
    const width = narrow ? 340 : WIDTH, label = narrow ? 138 : LABEL;
    const top = most || Math.max(1e-9, ...rows.map((row) => Math.max(row.value, row.mark || 0)));
    const room = width - label - VALUE;
    const svg = s("svg", { class: "bars", viewBox: `0 0 ${width} ${rows.length * ROW}`, "aria-hidden": "true" },
      rows.map((row, at) => s("g", { transform: `translate(0 ${at * ROW})` },
        s("title", {}, row.hint || `${row.label}: ${row.shown}`),
        s("text", { class: "label", x: label - 12, y: 17, "text-anchor": "end" }, short(row.label, narrow ? 19 : 23)),
        s("rect", { class: "track", x: label, y: 7, width: room, height: 12, rx: 2 }),
        s("rect", { class: "bar", x: label, y: 7, width: Math.max(row.value ? 2 : 0, room * row.value / top), height: 12, rx: 2 }),
        row.mark === undefined ? null
          : s("line", { class: "mark", x1: label + room * row.mark / top, x2: label + room * row.mark / top, y1: 3, y2: 23 }),
        s("text", { class: "value", x: width, y: 17, "text-anchor": "end" }, row.shown))));
    return chart(title, note, svg, head, rows.map((row) => [row.label, ...(row.cells || [row.shown])]));
  };

  // Standing bars: {label, count, mark?}.
  vico.columns = (title, note, head, rows) => {
    const height = 150, floor = 118, top = Math.max(1, ...rows.map((row) => Math.max(row.count, row.mark || 0)));
    const step = WIDTH / Math.max(rows.length, 4), left = (WIDTH - step * rows.length) / 2, bar = Math.min(56, step * 0.68);
    const y = (value) => floor - 92 * value / top;
    const svg = s("svg", { class: "columns", viewBox: `0 0 ${WIDTH} ${height}`, "aria-hidden": "true" },
      s("line", { class: "floor", x1: 0, x2: WIDTH, y1: floor + 0.5, y2: floor + 0.5 }),
      rows.map((row, at) => {
        const middle = left + step * (at + 0.5);
        return s("g", {},
          s("title", {}, `${row.label}: ${vico.number(row.count)}`),
          s("rect", { class: "bar", x: middle - bar / 2, y: y(row.count), width: bar, height: floor - y(row.count), rx: 2 }),
          row.mark === undefined ? null
            : s("line", { class: "mark", x1: middle - bar / 2 - 5, x2: middle + bar / 2 + 5, y1: y(row.mark), y2: y(row.mark) }),
          s("text", { class: "value", x: middle, y: y(Math.max(row.count, row.mark || 0)) - 7, "text-anchor": "middle" }, vico.number(row.count)),
          s("text", { class: "label", x: middle, y: floor + 20, "text-anchor": "middle" }, row.label));
      }));
    return chart(title, note, svg, head, rows.map((row) =>
      [row.label, vico.number(row.count), ...(row.mark === undefined ? [] : [row.mark.toFixed(1)])]));
  };

  vico.nothing = (title, words) => h("figure", { class: "chart" },
    h("figcaption", {}, h("h3", {}, title)), h("p", { class: "empty" }, words));
})();
