// Asking the shards in SQL, where a server is behind the page. It only reads.
"use strict";
(() => {
  const { h } = vico;
  const FIRST = "SELECT kind, count(*) AS questions, avg(distance_s) AS mean_distance_s\nFROM samples GROUP BY kind ORDER BY questions DESC";

  vico.sql = () => {
    const place = h("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": "Answer" });
    const box = h("textarea", { id: "sql", rows: 6, spellcheck: "false", "aria-label": "SQL", onkeydown: (event) => {
      if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) ask();
    } }, FIRST);
    const ask = async () => {
      place.replaceChildren(h("p", { class: "note" }, "Reading…"));
      try {
        const answer = await vico.store.ask("api/sql", { sql: box.value });
        place.replaceChildren(table(answer), h("p", { class: "note" },
          answer.more ? `Only the first ${vico.number(answer.rows.length)} rows are shown.` : vico.count(answer.rows.length, "row")));
        vico.say(vico.count(answer.rows.length, "row"));
      } catch (error) {
        place.replaceChildren(h("p", { class: "fault", role: "alert" }, error.message));
      }
    };
    return { element: h("div", { class: "sql" }, h("h1", {}, "SQL"),
      h("p", { class: "lead" }, "DuckDB over the shards, read only. Tables: videos, clips, clues, samples, frames, duplicates, rejected."),
      box, h("p", {}, h("button", { type: "button", onclick: ask }, "Ask"), h("span", { class: "note" }, " Ctrl + Enter")), place), leave: () => {} };
  };

  const table = (answer) => h("table", { class: "plain" },
    h("thead", {}, h("tr", {}, answer.columns.map((name) => h("th", { scope: "col" }, name)))),
    h("tbody", {}, answer.rows.map((row) => h("tr", {}, row.map((cell) => h("td", {}, cell === null ? "" : typeof cell === "object" ? JSON.stringify(cell) : String(cell)))))));
})();
