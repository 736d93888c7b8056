// The sheet of one video: its timeline, where each question's evidence lies, and its clips one by one.
"use strict";
(() => {
  const { h } = vico;
  const MOST_ROWS = 80;

  vico.videoSheet = async (route) => {
    const number = Number(route.path[1]);
    const video = await vico.store.video(number);
    const at = route.query.has("t") ? Number(route.query.get("t")) : null;
    const clips = h("ol", { class: "clips" }, video.clips.map((clip) => clipCard(video, clip)));
    const time = vico.zoomable(`Timeline of ${name(video)}`, video.duration_s, () => lanes(video, at));
    const map = questionMap(video);
    const element = h("div", { class: "video-sheet" },
      h("p", { class: "kicker" }, h("a", { href: "#/videos" }, "Videos")),
      h("h1", {}, name(video)),
      facts(video),
      h("section", { "aria-label": "Timeline" }, time.element, legend()),
      video.questions.length > 0 && h("section", { class: "map", "aria-labelledby": "map" },
        h("h2", { id: "map" }, "Where the evidence lies"),
        h("p", { class: "note" }, "A row for each question: the stretch it is about, and the clips its answer rests on. Choose a row to read the question."), map),
      h("h2", { id: "clips" }, "Clips"), clips, rejected(video.rejected));
    const shown = () => {
      if (at === null) return;
      const index = video.clips.findIndex((clip) => clip.start_s <= at && at < clip.end_s);
      const card = clips.children[index];
      if (!card) return;
      card.classList.add("here");
      card.scrollIntoView({ block: "center" });
      card.querySelector("h3").focus({ preventScroll: true });
    };
    return { element, shown, leave: () => {} };
  };

  const name = (video) => video.title || video.source;

  const facts = (video) => h("dl", { class: "facts" }, [
    ["length", vico.clock(video.duration_s)], ["picture", `${video.width} × ${video.height}`],
    ["rate", `${video.fps.toFixed(2)} fps${video.variable_frame_rate ? ", varying" : ""}`],
    ["codec", video.codec], ["split", video.split], ["domain", video.domain], ["language", video.language],
    ["licence", video.license], ["uploader", video.uploader], ["published", video.published], ["source", video.source],
    ["id", h("code", {}, video.video_id)],
  ].filter(([, value]) => value !== null).map(([label, value]) => h("div", {}, h("dt", {}, label), h("dd", {}, value))));

  const lanes = (video, at) => {
    const shots = [0, ...video.cuts_s, video.duration_s];
    const used = new Map();
    for (const question of video.questions) {
      for (const piece of question.evidence) used.set(piece.clip_index, (used.get(piece.clip_index) || 0) + 1);
    }
    const most = Math.max(1, ...used.values());
    const grade = (count) => (count ? `clip use-${Math.ceil(4 * count / most)}` : "clip");
    const made = [
      { name: "shots", height: 12, marks: shots.slice(0, -1).map((from, i) => ({
        from, to: shots[i + 1], kind: i % 2 ? "shot odd" : "shot", hint: `shot ${vico.stretch(from, shots[i + 1])}`, gap: 0.5 })) },
      { name: "clips", height: 26, marks: video.clips.map((clip) => ({
        from: clip.start_s, to: clip.end_s, kind: grade(used.get(clip.clip_index) || 0), href: vico.videoLink(video.number, clip.start_s),
        hint: `clip ${clip.clip_index}, ${vico.stretch(clip.start_s, clip.end_s)}, evidence of ${vico.count(used.get(clip.clip_index) || 0, "question")}` })) },
      ...clueLanes(video.clues),
    ];
    if (video.chapters.length) {
      made.unshift({ name: "chapters", height: 14, marks: video.chapters.map((one, i) => ({
        from: one.start_s, to: one.end_s, kind: i % 2 ? "chapter odd" : "chapter", hint: one.title || "chapter" })) });
    }
    const said = video.clips.flatMap((clip) => clip.subtitles);
    if (said.length) {
      made.push({ name: "subtitles", height: 10, marks: said.map((line) => ({
        from: line.start_s, to: line.end_s, kind: "subtitle", hint: `${vico.clock(line.start_s)} ${line.text}`, gap: 0 })) });
    }
    if (at !== null) made[0].marks = [...made[0].marks, { from: at, kind: "now", hint: `you are here: ${vico.clock(at)}` }];
    return made;
  };

  const clueLanes = (clues) => [["clues", true], ["dropped", false]].map(([label, kept]) => ({
    name: label, height: 14, marks: clues.filter((clue) => clue.kept === kept).map((clue) => ({
      from: clue.start_s, to: clue.end_s, kind: kept ? "clue" : "clue-dropped",
      hint: `${vico.stretch(clue.start_s, clue.end_s)} ${clue.text}${kept ? "" : ` (${vico.words(clue.reason)})`}` })) })).filter((lane) => lane.marks.length);

  const legend = () => {
    const entry = (words, ...kinds) => h("span", {}, kinds.map((kind) => h("i", { class: `key ${kind}` })), words);
    return h("p", { class: "legend", "aria-hidden": "true" },
      entry("clips by how many questions rest on them", "use-1", "use-2", "use-3", "use-4"), entry("clue", "clue"), entry("dropped clue", "clue-dropped"));
  };

  const questionMap = (video) => {
    const place = h("div", {});
    const draw = (count) => {
      const rows = video.questions.slice(0, count);
      const map = vico.zoomable("Questions along the video", video.duration_s, () => rows.map((question, at) => ({
        name: at && rows[at - 1].kind === question.kind ? "" : vico.words(question.kind), height: 9, bare: true, class: "question-row",
        href: vico.questionLink(question.sample_id), hint: vico.firstLine(question.question),
        marks: [{ from: question.span_start_s, to: question.span_end_s, kind: "span", hint: vico.firstLine(question.question), inset: 3, gap: 0 },
        ...question.evidence.map((piece) => ({ from: piece.start_s, to: piece.end_s, kind: "evidence",
          hint: `${vico.words(question.kind)}: ${question.question}` }))] })));
      place.replaceChildren(map.element);
      if (count < video.questions.length) {
        place.append(h("button", { type: "button", class: "quiet", onclick: () => draw(video.questions.length) },
          `Show all ${vico.number(video.questions.length)} questions`));
      }
    };
    draw(MOST_ROWS);
    return place;
  };

  const clipCard = (video, clip) => {
    const clues = video.clues.filter((clue) => clue.kept && clue.start_s < clip.end_s && clue.end_s > clip.start_s);
    const asked = video.questions.filter((question) => question.evidence.some((piece) => piece.clip_index === clip.clip_index));
    return h("li", {},
      h("div", { class: "clip-picture" }, clip.pictured
        ? vico.image(video.number, "clip", clip.clip_index, `Clip ${clip.clip_index}: ${clip.caption}`) : h("span", { class: "no-picture" }, "no picture"),
      h("h3", { tabindex: -1 }, vico.stretch(clip.start_s, clip.end_s))),
      h("div", { class: "clip-words" },
        h("p", {}, clip.caption),
        list("Events", clip.key_events.map((event) => [vico.stretch(event.start_s, event.end_s), event.text])),
        list("Subtitles", clip.subtitles.map((line) => [vico.stretch(line.start_s, line.end_s), line.text])),
        list("Clues", clues.filter((clue) => !clip.key_events.some((event) => event.text === clue.text)).map((clue) =>
          [vico.stretch(clue.start_s, clue.end_s), clue.text])),
        said(clip)),
      h("div", { class: "clip-asked" }, asked.length > 0 && h("details", {}, h("summary", {}, vico.count(asked.length, "question")),
        h("ul", {}, asked.slice(0, 50).map((question) => h("li", {},
          h("a", { href: vico.questionLink(question.sample_id) }, vico.words(question.kind), ": ", question.question.split("\n").slice(-1)[0])))))));
  };

  const list = (title, rows) => rows.length > 0 && h("div", { class: "said" }, h("h4", {}, title),
    h("ul", {}, rows.map(([time, text]) => h("li", {}, h("span", { class: "at" }, time), " ", text))));

  const said = (clip) => {
    const parts = [
      clip.setting, clip.subjects.length && `who: ${clip.subjects.join(", ")}`, clip.on_screen_text.length && `to read: ${clip.on_screen_text.join(" / ")}`,
      clip.measures.colours.length && clip.measures.colours.join(", "), `motion ${clip.measures.motion.toFixed(2)}`,
      `light ${clip.measures.brightness.toFixed(2)}`, clip.model ? `${clip.captioner}, ${clip.model}` : clip.captioner];
    return h("p", { class: "note" }, parts.filter(Boolean).join(" · "));
  };

  const rejected = (rows) => rows.length > 0 && h("section", { "aria-labelledby": "rejected" }, h("h2", { id: "rejected" }, "Left out"),
    h("div", { class: "scroll" }, h("table", { class: "plain" },
      h("thead", {}, h("tr", {}, ["stage", "reason", "clip", "what"].map((label) => h("th", { scope: "col" }, label)))),
      h("tbody", {}, rows.map((row) => h("tr", {}, [row.stage, vico.words(row.reason), row.clip_index ?? "", row.detail].map((cell) => h("td", {}, cell))))))));
})();
