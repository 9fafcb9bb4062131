// Sets the theme before the page is drawn.
"use strict";
{
  let theme = "auto";
  try { theme = localStorage.getItem("theme") || "auto"; } catch { /* storage is blocked */ }
  document.documentElement.dataset.theme = theme;
}
