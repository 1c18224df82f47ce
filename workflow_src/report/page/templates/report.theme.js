// Before the first paint, so that a dark page never flashes white. Storage can be forbidden: then the choice is forgotten.
const system = matchMedia("(prefers-color-scheme: dark)");
function chosen() {
  try { return localStorage.getItem("theme"); } catch { return null; }
}
function paint() {
  const dark = (chosen() ?? (system.matches ? "dark" : "light")) === "dark";
  const root = document.documentElement;
  root.classList.toggle("dark", dark);
  root.classList.toggle("light", !dark);
  document.getElementById("theme")?.setAttribute("aria-pressed", String(dark));
}
document.documentElement.classList.add("js");
paint();
system.addEventListener("change", paint);
