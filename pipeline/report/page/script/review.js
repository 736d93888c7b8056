// Judging questions drawn at random: right, wrong or unclear, each by one key. The server keeps every vote at once.
"use strict";
(() => {
  const { h } = vico;
  const VOTES = [["right", "r"], ["wrong", "w"], ["unclear", "u"]];

  vico.review = async () => {
    const state = await vico.store.ask("api/review");
    const votes = new Map(Object.entries(state.votes));
    const sheet = h("div", { class: "review" });
    let at = Math.max(0, state.ids.findIndex((id) => !votes.has(id)));
    const done = () => state.ids.every((id) => votes.has(id));

    const draw = async () => {
      const id = state.ids[at];
      const row = await vico.store.question(id);
      const bar = h("span", { class: "kept" });
      bar.style.width = `${100 * votes.size / state.ids.length}%`;
      sheet.replaceChildren(
        h("h1", { class: "unseen" }, "Review"),
        h("div", { class: "review-bar" },
          h("button", { type: "button", class: "quiet", onclick: () => go(-1), disabled: at === 0, "aria-label": "Previous question" }, "←"),
          h("p", {}, `${at + 1} of ${state.ids.length}`, h("span", { class: "share", "aria-hidden": "true" }, bar)),
          h("button", { type: "button", class: "quiet", onclick: () => go(1), disabled: at === state.ids.length - 1, "aria-label": "Next question" }, "→"),
          h("div", { class: "votes", role: "group", "aria-label": "Is the answer right?" }, VOTES.map(([vote, key]) =>
            h("button", { type: "button", class: `vote ${vote}`, "aria-pressed": String(votes.get(id) === vote), "aria-keyshortcuts": key, onclick: () => cast(vote) },
              vote, h("kbd", { "aria-hidden": "true" }, key))))),
        ...result(), vico.questionView(row, false).element);
      vico.say(`Question ${at + 1} of ${state.ids.length}`);
    };

    const result = () => done() && state.figures ? [h("p", { class: "result", role: "status" },
      state.sentence, " ", h("button", { type: "button", onclick: finish }, "Finish"))] : [];

    const go = (by) => {
      at = Math.min(state.ids.length - 1, Math.max(0, at + by));
      scrollTo(0, 0);
      return draw();
    };

    const cast = async (vote) => {
      const id = state.ids[at];
      const answer = await vico.store.ask("api/vote", { sample_id: id, vote });
      votes.set(id, vote);
      Object.assign(state, answer);
      vico.store.summary.reviewed = state.figures;
      const next = state.ids.findIndex((one, place) => place > at && !votes.has(one));
      if (next >= 0) at = next;
      scrollTo(0, 0);
      await draw();
    };

    const finish = async () => {
      const answer = await vico.store.ask("api/finish", {});
      sheet.replaceChildren(h("h1", {}, "Thank you"), h("p", { class: "result" }, answer.sentence),
        h("p", {}, "The votes are kept with the data set. This window can be closed."));
    };

    const stop = vico.keys({ ...Object.fromEntries(VOTES.map(([vote, key]) => [key, () => cast(vote)])),
      j: () => go(1), k: () => go(-1) });
    await draw();
    return { element: sheet, leave: stop };
  };
})();
