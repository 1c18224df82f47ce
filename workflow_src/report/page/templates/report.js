const views = [...document.querySelectorAll(".view")];
const game = document.getElementById("game");
const more = document.getElementById("more");
const protocol = document.getElementById("protocol"); // where there are several

// The library is a module inside this file: it is run from an address that exists in this page alone.
const library = (async () => {
  const code = document.getElementById("library").textContent;
  const address = URL.createObjectURL(new Blob([code], { type: "text/javascript" }));
  return (await import(address)).default;
})();

// Tables become interactive when they are first shown: a run has hundreds.
async function prepare(view) {
  const DataTable = await library;
  for (const table of view.querySelectorAll("table.sheet:not(.dataTable)")) {
    const rows = table.tBodies[0].rows.length;
    const paged = table.classList.contains("paged");
    new DataTable(table, {
      paging: paged,
      pageLength: 25,
      lengthMenu: [25, 100, { label: "all", value: -1 }],
      info: rows > 10,
      searching: true,
      ordering: rows > 1,
      order: [],
      autoWidth: false,
      layout: {
        topStart: rows > 5 ? "search" : null,
        topEnd: paged ? "pageLength" : null,
        bottomStart: rows > 10 ? "info" : null,
        bottomEnd: paged ? "paging" : null,
      },
      language: { search: "", searchPlaceholder: "Filter rows", info: "_TOTAL_ rows", infoFiltered: "of _MAX_", infoEmpty: "no row" },
    });
    // What scrolls is what can be focused: now the box around the table, no longer the one around its controls.
    const outer = table.closest(".scroll");
    const inner = table.closest(".dt-layout-table .dt-layout-cell") ?? table.closest(".dt-layout-table");
    for (const name of ["tabindex", "role", "aria-label"]) {
      inner.setAttribute(name, outer.getAttribute(name));
      outer.removeAttribute(name);
    }
    outer.classList.add("ready");
    outer.querySelector("input[type=search]")?.setAttribute("aria-label", `Filter rows of ${table.getAttribute("aria-label")}`);
  }
  fit(view);
  view.dataset.ready = "yes";
}

// One protocol at a time. F1 first: what stands beside it is shown where there is room for it, or where it is asked for.
async function fit(view) {
  const DataTable = await library;
  for (const table of view.querySelectorAll("table.dataTable")) {
    const made = new DataTable.Api(table);
    if (protocol && table.dataset.protocol) {
      const exact = protocol.value ? `^${protocol.value}$` : "";
      made.column(Number(table.dataset.protocol)).search(exact, true, false).draw();
    }
    if (!table.dataset.companions) continue;
    const companions = made.columns(table.dataset.companions.split(",").map(Number));
    companions.visible(true);
    const box = table.closest(".dt-layout-cell") ?? table.closest(".scroll");
    if (!more.checked && table.offsetWidth > box.clientWidth) companions.visible(false);
  }
}
const shownView = () => views.find((one) => one.classList.contains("shown"));
more.addEventListener("change", () => fit(shownView()));
protocol?.addEventListener("change", () => fit(shownView()));
window.addEventListener("resize", () => fit(shownView()));

function route() {
  let wanted = location.hash.slice(1);
  try {
    wanted = decodeURIComponent(wanted);
  } catch {
    // A hash that is no text, such as "#100%", names nothing here.
  }
  const target = document.getElementById(wanted) ?? document.getElementById(`game=${wanted}`);
  const view = target?.closest(".view") ?? views.find((one) => one.classList.contains("shown")) ?? views[0];
  const changed = !view.classList.contains("shown");
  for (const one of views) one.classList.toggle("shown", one === view);
  for (const link of document.querySelectorAll("header nav a:not(.brand)")) {
    if (link.hash === `#${view.id}`) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  game.value = view.dataset.game ?? "";
  document.title = `${view.querySelector("h1").textContent} – AtariARI report`;
  if (target && target !== view && view.contains(target)) target.scrollIntoView();
  else if (changed) window.scrollTo(0, 0);
  if (view.dataset.ready) fit(view);
  else prepare(view);
  return changed ? view : null;
}

// A person who steps through the games in the list stays in it; who follows a link reads on from the new page's head.
let stepping = false;
game.addEventListener("change", () => {
  stepping = true;
  location.hash = game.value ? `game=${game.value}` : "overview";
});
window.addEventListener("hashchange", () => {
  const view = route();
  const reader = stepping ? game : view?.querySelector("h1");
  reader?.focus({ preventScroll: true });
  stepping = false;
});
document.querySelector(".skip").addEventListener("click", (event) => {
  event.preventDefault(); // the address stays that of the page
  document.getElementById("content").focus();
});
document.getElementById("theme").addEventListener("click", () => {
  const next = document.documentElement.classList.contains("dark") ? "light" : "dark";
  try { localStorage.setItem("theme", next); } catch { /* see report.theme.js */ }
  chosen = () => next;
  paint();
});
paint();
route();
