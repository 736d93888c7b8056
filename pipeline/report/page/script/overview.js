// The first sheet: what is in the data set, what was kept, and the charts.
"use strict";
(() => {
  const { h } = vico;

  vico.overview = () => {
    const { summary } = vico.store;
    const figures = summary.figures, totals = figures.totals;
    return [
      h("section", { class: "hero" },
        h("p", { class: "kicker" }, "Visual clue order"),
        h("h1", {}, `${vico.count(totals.samples, "question")} about ${vico.duration(totals.hours * 3600)} of video`),
        h("p", { class: "lead" }, madeBy(figures.made_by)),
        shownOf(summary), versionOf(summary),
        strip(summary.strip)),
      totalsList(totals),
      h("section", { "aria-labelledby": "yield" }, h("h2", { id: "yield" }, "Yield"), yields(figures.yield)),
      h("section", { "aria-labelledby": "charts" }, h("h2", { id: "charts" }, "What is in it"),
        h("div", { class: "charts" }, contents(figures))),
      h("section", { "aria-labelledby": "checks" }, h("h2", { id: "checks" }, "Is it right?"),
        h("div", { class: "charts three" }, checks(figures), reviewed(summary.reviewed))),
      h("section", { "aria-labelledby": "costs" }, h("h2", { id: "costs" }, "Left out, and what it took"),
        h("div", { class: "charts" }, rejected(figures.rejected), usage(figures.usage, figures.cost))),
    ];
  };

  const madeBy = (made) => {
    const captions = made.caption_model ? `${made.captioner} (${made.caption_model})` : made.captioner;
    const order = made.order_model ? `${made.orderer} (${made.order_model})` : made.orderer;
    return `Clips of ${made.clip_seconds} seconds. Captions: ${captions}. Order of clues: ${order}; every answer follows from the clock.`;
  };

  const shownOf = (summary) => summary.questions_shown < summary.figures.totals.samples && h("p", { class: "note" },
    `This page holds ${vico.number(summary.questions_shown)} of them, those of ${vico.count(summary.videos_shown, "video")} drawn at random; report-vico --serve shows all. The figures below are of the whole data set.`);

  // A page of files stays as it was written when the data set grows, so it says what it shows.
  const versionOf = ({ version }) => version && h("p", { class: "note" },
    `Version ${version} of the data set (sha256 of its manifest.json).`);

  const strip = (clips) => clips.length > 0 && h("ol", { class: "strip", "aria-label": "Clips from all over the data set" },
    clips.map((clip) => h("li", {}, h("a", { href: vico.videoLink(clip.video, clip.start_s) },
      vico.h("img", { src: vico.picture(clip.video, "clip", clip.clip_index), alt: clip.caption, title: clip.caption, width: 320, height: 180, decoding: "async" }),
      h("span", { class: "at" }, vico.clock(clip.start_s))))));

  const totalsList = (totals) => h("dl", { class: "totals", "aria-label": "Totals" },
    [["video", totals.videos], ["hour", totals.hours], ["clip", totals.clips], ["clue", totals.clues],
      ["question", totals.samples], ["frame", totals.frames], ["left out", totals.rejected]].map(([name, value]) =>
      h("div", {}, h("dd", {}, value.toLocaleString("en", { maximumFractionDigits: 2 })), h("dt", {}, value === 1 || name === "left out" ? name : `${name}s`))));

  const yields = (steps) => h("ol", { class: "yield" }, steps.map((step) => {
    const all = step.kept + step.left_out;
    const bar = h("span", { class: "kept" });
    bar.style.width = `${all ? 100 * step.kept / all : 0}%`;
    return h("li", {},
      h("span", { class: "step" }, step.step),
      h("strong", {}, vico.number(step.kept)),
      h("span", { class: "share", "aria-hidden": "true" }, bar),
      h("span", { class: "note" }, all ? `${vico.percent(step.kept / all)} kept` : "none",
        step.left_out ? `, ${vico.number(step.left_out)} left out` : ""));
  }));

  const contents = (figures) => [
    vico.bars("Kinds of question", null, ["kind", "questions"], figures.kinds.map((row) =>
      ({ label: vico.words(row.label), value: row.count, shown: vico.number(row.count) }))),
    vico.columns("Answer letters", "How often each letter is right; the line is where it would be if letters were drawn.",
      ["letter", "questions", "if drawn"], figures.letters.map((row) => ({ ...row, mark: row.expected }))),
    vico.bars("Distance of clues", "Seconds between the first and the last evidence of a question.",
      ["distance", "questions"], figures.distances.map((row) => ({ label: row.label, value: row.count, shown: vico.number(row.count) }))),
    vico.columns("Clips per video", null, ["clips", "videos"], figures.clips_per_video),
  ];

  const checks = (figures) => [
    figures.clock.length
      ? vico.bars("Agreement with the clock", "Share of the order that the clock confirmed; what it did not confirm was dropped.",
        ["who ordered", "agreed", "of"], figures.clock.map((row) => ({
          label: row.label, value: row.agreed / row.of, shown: vico.percent(row.agreed / row.of),
          hint: `${row.label}: ${vico.number(row.agreed)} of ${vico.number(row.of)}`,
          cells: [vico.number(row.agreed), vico.number(row.of)] })), 1, true)
      : vico.nothing("Agreement with the clock", "There is no order to compare."),
    figures.blind.length
      ? vico.bars("Answered without the video", "Share that a model guessed right; the line is chance.",
        ["kind", "right", "chance", "asked"], figures.blind.map((row) => ({
          label: vico.words(row.label), value: row.share, mark: row.chance, shown: vico.percent(row.share),
          hint: `${row.label}: ${vico.percent(row.share)} of ${row.asked} right, chance ${vico.percent(row.chance)}`,
          cells: [vico.percent(row.share), vico.percent(row.chance), vico.number(row.asked)] })), 1, true)
      : vico.nothing("Answered without the video", "Not tested: no model was asked these questions blind."),
  ];

  const reviewed = (review) => {
    if (!review) return vico.nothing("Looked at by people", "Nobody has yet. report-vico DIR --review 100 draws a hundred questions to judge.");
    const all = review.right + review.wrong + review.unclear;
    return vico.bars("Looked at by people", review.accuracy === null ? null
      : `${vico.percent(review.accuracy)} of those judged are right (95 % interval ${vico.percent(review.low)} to ${vico.percent(review.high)}).`,
    ["vote", "questions"], ["right", "wrong", "unclear"].map((vote) =>
      ({ label: vote, value: review[vote], shown: vico.number(review[vote]) })), all, true);
  };

  const rejected = (rows) => (rows.length
    ? vico.bars("Left out, by reason", null, ["reason", "stage", "times", "meaning"], rows.map((row) => ({
      label: vico.words(row.label), value: row.count, shown: vico.number(row.count),
      hint: `${row.stage}: ${row.meaning || vico.words(row.label)}`, cells: [row.stage, vico.number(row.count), row.meaning] })))
    : vico.nothing("Left out, by reason", "Nothing was left out."));

  const usage = (rows, cost) => {
    if (!rows.length) return vico.nothing("Tokens and cost", "No model server was asked.");
    const columns = [["model", "model"], ["role", "for"], ["questions", "asked"], ["prompt_tokens", "tokens in"], ["completion_tokens", "tokens out"], ["cost", "cost"]];
    return h("figure", { class: "chart" }, h("figcaption", {}, h("h3", {}, "Tokens and cost"),
      h("p", { class: "note" }, `Together ${cost.toLocaleString("en", { maximumFractionDigits: 4 })}, in the currency of the prices given.`)),
    h("div", { class: "scroll" }, h("table", { class: "plain" },
      h("thead", {}, h("tr", {}, columns.map(([, name]) => h("th", { scope: "col" }, name)))),
      h("tbody", {}, rows.map((row) => h("tr", {}, columns.map(([key]) =>
        h("td", {}, typeof row[key] === "number" ? row[key].toLocaleString("en", { maximumFractionDigits: 4 }) : row[key]))))))));
  };
})();
