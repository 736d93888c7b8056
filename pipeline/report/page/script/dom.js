// Making elements, and putting numbers and times into words. Whatever comes from the data becomes text, never markup.
"use strict";
const vico = {};
(() => {
  const SVG = "http://www.w3.org/2000/svg";

  const make = (element, attributes, children) => {
    for (const [name, value] of Object.entries(attributes || {})) {
      if (value === null || value === undefined || value === false) continue;
      if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
      else element.setAttribute(name, value === true ? "" : value);
    }
    for (const child of children.flat(Infinity)) {
      if (child === null || child === undefined || child === false) continue;
      element.append(child instanceof Node ? child : document.createTextNode(String(child)));
    }
    return element;
  };
  vico.h = (tag, attributes, ...children) => make(document.createElement(tag), attributes, children);
  vico.s = (tag, attributes, ...children) => make(document.createElementNS(SVG, tag), attributes, children);

  vico.clock = (seconds) => {
    const whole = Math.floor(seconds);
    const parts = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
    const shown = parts[0] ? parts : parts.slice(1);
    return shown.map((part, at) => at ? String(part).padStart(2, "0") : String(part)).join(":");
  };
  vico.stretch = (from, to) => `${vico.clock(from)}–${vico.clock(to)}`;
  vico.duration = (seconds) => {
    if (seconds < 60) return `${Math.round(seconds)} s`;
    if (seconds < 3600) return `${trim(seconds / 60)} min`;
    return `${trim(seconds / 3600)} h`;
  };
  const trim = (value) => value.toLocaleString("en", { maximumFractionDigits: value < 10 ? 1 : 0 });
  vico.number = (value) => value.toLocaleString("en");
  vico.percent = (share) => `${(100 * share).toLocaleString("en", { maximumFractionDigits: 1 })} %`;
  vico.words = (name) => String(name).replaceAll("_", " ");
  vico.count = (value, one, many) => `${vico.number(value)} ${value === 1 ? one : many || `${one}s`}`;
  vico.letter = (index) => String.fromCharCode(65 + index);
  vico.firstLine = (text) => text.split("\n", 1)[0];
  vico.say = (text) => { document.getElementById("status").textContent = text; };

  // Pictures are named by numbers that the report gave out.
  vico.picture = (video, kind, index) =>
    `pictures/${String(video).padStart(6, "0")}/${kind}-${String(index).padStart(6, "0")}.jpg`;
  vico.image = (video, kind, index, alt) => vico.h("img", {
    src: vico.picture(video, kind, index), alt, loading: "lazy", decoding: "async", width: 320, height: 180,
  });
  vico.videoLink = (video, seconds) => `#/video/${video}${seconds === undefined ? "" : `?t=${seconds}`}`;
  vico.questionLink = (id) => `#/questions?id=${encodeURIComponent(id)}`;
})();
