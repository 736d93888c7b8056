// One question: its words, options and answer, where its evidence lies, and what the evidence shows.
"use strict";
(() => {
  const { h } = vico;

  // Returns {element, reveal, show}: reveal(on) shows or hides the answer, show(n) goes to the nth piece of evidence.
  vico.questionView = (row, hideAnswer) => {
    const parts = [head(row), body(row), line(row), evidence(row), facts(row)];
    const element = h("article", { class: "question", "aria-labelledby": "asked" }, parts);
    const reveal = (on) => element.classList.toggle("hidden-answer", !on);
    reveal(!hideAnswer);
    const show = (at) => {
      const link = element.querySelectorAll(".show-me")[at];
      if (link) location.hash = link.getAttribute("href");
    };
    return { element, reveal, show };
  };

  // An event may begin in the clip before the one it counts for.
  const moment = (row, piece) => vico.videoLink(row.video, Math.max(piece.from_s, piece.start_s));

  const head = (row) => h("header", {},
    h("p", { class: "kicker" }, vico.words(row.kind), " · ", row.video === null ? row.dataset
      : h("a", { href: vico.videoLink(row.video, row.span_start_s ?? undefined) }, row.video_name || "video"),
    row.span_start_s === null ? null : ` · ${vico.stretch(row.span_start_s, row.span_end_s)}`));

  const body = (row) => {
    const [first, ...rest] = row.question.split("\n");
    return h("div", { class: "asked" },
      h("h2", { id: "asked", tabindex: -1 }, first),
      rest.map((text) => h("p", {}, text)),
      row.options.length ? options(row)
        : h("div", { class: "open answer" }, h("h3", {}, "Answer"), row.answer.split("\n").map((text) => h("p", {}, text))));
  };

  const options = (row) => h("ol", { class: "options", "aria-label": "Options" }, row.options.map((option, at) => {
    const right = at === row.answer_index;
    return h("li", { class: right ? "option right" : "option" },
      h("span", { class: "letter", "aria-hidden": "true" }, vico.letter(at)), h("span", { class: "words" }, option),
      right && h("span", { class: "verdict" }, "answer"));
  }));

  const line = (row) => {
    if (row.span_start_s === null || !row.evidence.length) return null;
    const shift = (time) => time - row.span_start_s;
    const place = vico.zoomable("Where the evidence lies", row.span_end_s - row.span_start_s, () => [{
      name: "evidence", height: 22, marks: row.evidence.flatMap((piece, at) => [
        { from: shift(piece.start_s), to: shift(piece.end_s), kind: "evidence-clip", hint: `clip ${vico.stretch(piece.start_s, piece.end_s)}` },
        { from: shift(piece.from_s), to: shift(piece.to_s), kind: "evidence", inset: 4,
          hint: `${at + 1}: ${vico.stretch(piece.from_s, piece.to_s)} ${piece.text || ""}`, href: moment(row, piece) }]) }], row.span_start_s);
    return h("section", { class: "line" }, place.element);
  };

  const evidence = (row) => row.evidence.length > 0 && h("section", { class: "evidence-list", "aria-labelledby": "evidence" },
    h("h3", { id: "evidence" }, "Evidence, as it happens"),
    h("ol", {}, row.evidence.map((piece, at) => h("li", {},
      h("div", { class: "evidence-words" },
        h("span", { class: "number", "aria-hidden": "true" }, at + 1),
        h("p", {}, piece.text || `Clip ${piece.clip_index}`),
        h("a", { class: "show-me", href: moment(row, piece),
          "aria-label": `Show me ${vico.stretch(piece.from_s, piece.to_s)}` },
        h("span", { class: "at" }, vico.stretch(piece.from_s, piece.to_s)), " Show me")),
      h("div", { class: "frames" }, piece.frames.length
        ? piece.frames.map((frame) => h("figure", {},
          vico.image(row.video, "frame", frame.index, `Frame at ${vico.clock(frame.t_s)}`),
          h("figcaption", {}, vico.clock(frame.t_s))))
        : h("p", { class: "empty" }, "The frames are not part of this data set."))))));

  const facts = (row) => {
    const said = [
      ["distance", row.distance_s === null ? null : vico.duration(row.distance_s)],
      ["frames needed", row.min_frames], ["split", row.split], ["captions", row.captioner], ["order", row.orderer],
      ["data set", row.dataset], ["language", row.language],
      ["likeness of clues", row.checks.similarity.toFixed(2)],
      ["blind", row.checks.blind_asked ? `${row.checks.blind_right} of ${row.checks.blind_asked} right` : "not tested"],
      ["id", h("code", {}, row.sample_id)],
    ].filter(([, value]) => value !== null);
    return h("footer", {}, h("dl", { class: "facts" }, said.map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value)))),
      row.twin_of && h("p", { class: "note" }, "A twin shows its clues in another order: ",
        h("a", { href: vico.questionLink(row.twin_of) }, row.twin_of)));
  };
})();
