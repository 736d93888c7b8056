// Light or dark: what the reader chose here before, else what the system says. Runs before the first paint.
"use strict";
(() => {
  const remembered = () => {
    try {
      return localStorage.getItem("vico-theme");
    } catch {
      return null; // some browsers give pages from disk no storage
    }
  };
  const remember = (theme) => {
    try {
      localStorage.setItem("vico-theme", theme);
    } catch {
      // the choice holds until the page is closed
    }
  };
  const root = document.documentElement;
  root.dataset.theme = remembered() || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");
  addEventListener("DOMContentLoaded", () => {
    const button = document.getElementById("theme");
    const name = () => { button.textContent = root.dataset.theme === "dark" ? "Light" : "Dark"; };
    name();
    button.addEventListener("click", () => {
      root.dataset.theme = root.dataset.theme === "dark" ? "light" : "dark";
      remember(root.dataset.theme);
      name();
    });
  });
})();
