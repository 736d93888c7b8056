// The list of videos.
"use strict";
(() => {
  const { h } = vico;

  vico.videos = () => {
    const list = h("ol", { class: "video-list" });
    const found = h("p", { class: "found" });
    const rows = [];
    let words = [];
    const fits = (row) => words.every((word) =>
      [row.title, row.source, row.domain, row.uploader, row.video_id].join("\n").toLowerCase().includes(word));
    const draw = () => {
      const shown = rows.filter(fits);
      list.replaceChildren(...shown.map(card));
      found.textContent = vico.count(shown.length, "video");
    };
    const element = h("div", { class: "videos" },
      h("h1", {}, "Videos"),
      h("form", { class: "filters", role: "search", onsubmit: (event) => event.preventDefault() },
        h("input", { type: "search", id: "search", "aria-label": "Search in titles and sources", placeholder: "Search in titles and sources  ( / )",
          oninput: (event) => { words = event.target.value.toLowerCase().split(/\s+/).filter(Boolean); draw(); } })),
      found, list);
    let gone = false;
    (async () => {
      for await (const some of vico.store.videos()) {
        if (gone) return;
        rows.push(...some);
        list.append(...some.filter(fits).map(card));
        found.textContent = vico.count(list.children.length, "video");
      }
    })();
    const stop = vico.keys({ "/": () => document.getElementById("search").focus() });
    return { element, leave: () => { gone = true; stop(); } };
  };

  const card = (row) => h("li", {}, h("a", { href: vico.videoLink(row.number) },
    row.clip === null ? h("span", { class: "no-picture" }) : vico.image(row.number, "clip", row.clip, ""),
    h("span", { class: "name" }, row.title || row.source),
    h("span", { class: "where" }, [vico.duration(row.duration_s), vico.count(row.n_clips, "clip"),
      vico.count(row.n_samples, "question"), row.domain].filter(Boolean).join(" · "))));
})();
