"""How the explorer looks, light and dark: the style of its figure and the rules of its page.

Contrast: text at least 4.5:1 against the background, lines at least 3:1 (WCAG 2.2). Items' names are written in their
colours, which are therefore darker (on dark: lighter) than those of the printed figures.
"""

from __future__ import annotations

from dataclasses import replace

from workbench.figures.style import Style, dark

#: Colours of what the page says: all is well, wait, look here.
GOOD, WAIT, BAD = "good", "wait", "bad"

_CSS = """
.workbench { container-type: inline-size; --bg: #ffffff; --ink: #1d1d22; --quiet: #5c5c66; --edge: #c4c4cd;
  --field: #f4f4f7; --good: #1b6e3c; --wait: #7a4f00; --bad: #a31515; --accent: #0b5cad; --em: 14px;
  background: var(--bg); color: var(--ink); font-size: var(--em); padding: 4px 8px; overflow: visible; }
.workbench.workbench-dark { --bg: #16161a; --ink: #ececf1; --quiet: #b4b4bf; --edge: #50505c; --field: #25252c;
  --good: #7fd6a0; --wait: #f0c060; --bad: #ff9a8f; --accent: #8cc2ff; color-scheme: dark; }
.workbench-dark select { background-image: linear-gradient(45deg, transparent 50%, var(--ink) 50%),
  linear-gradient(135deg, var(--ink) 50%, transparent 50%) !important; background-size: 5px 5px !important;
  background-position: right 13px center, right 8px center !important; background-repeat: no-repeat !important; }
.workbench-dark select[multiple] { background-image: none !important; }
.workbench.workbench-large { --em: 18px; }
body:has(.workbench-dark), body:has(.workbench-dark) .jp-LabShell, body:has(.workbench-dark) .jp-Cell,
body:has(.workbench-dark) #rendered_cells {
  background: #16161a !important; }
.workbench, .workbench * { --jp-widgets-color: var(--ink); --jp-widgets-label-color: var(--ink);
  --jp-widgets-readout-color: var(--ink); --jp-widgets-font-size: var(--em); --jp-widgets-input-color: var(--ink);
  --jp-widgets-input-background-color: var(--field); --jp-widgets-input-border-color: var(--edge);
  --jp-widgets-slider-active-handle-color: var(--accent); --jp-widgets-slider-handle-border-color: var(--quiet);
  --jp-ui-font-color1: var(--ink); --jp-content-font-color1: var(--ink); --jp-layout-color1: var(--bg);
  --jp-layout-color2: var(--field); --jp-layout-color3: var(--edge); }
.workbench h1 { font-size: 1.35em; margin: 2px 0; } .workbench h2 { font-size: 1.05em; margin: 8px 0 2px; }
.workbench p { margin: 2px 0; line-height: 1.35; }
.workbench .widget-html-content { font-size: var(--em); color: var(--ink); line-height: 1.4; overflow: visible; }
.workbench .widget-html { overflow: visible; height: auto; }
.workbench .widget-html:has(> .widget-html-content:empty):not(.workbench-room) { display: none; }
.workbench .workbench-room { min-height: 2.8em; }
.workbench a { color: var(--accent); text-decoration: underline; }
.workbench button.jupyter-button { background: var(--field); color: var(--ink); border: 1px solid var(--quiet);
  font-size: .95em; padding: 0 .38em !important; border-radius: 4px; height: auto; min-height: 28px; margin: 1px;
  box-shadow: none; }
.workbench button.jupyter-button.mod-active { border: 2px solid var(--accent); font-weight: 600; }
.workbench button.jupyter-button.workbench-first { background: var(--accent); color: var(--bg); font-weight: 600; }
.workbench :focus-visible { outline: 3px solid var(--accent) !important; outline-offset: 1px; }
.workbench-row .widget-dropdown .widget-label, .workbench-text .widget-label { width: auto !important; }
.workbench-row { flex-flow: row wrap !important; align-items: center; gap: 4px 6px; overflow: visible !important; }
.workbench-body { display: flex; flex-flow: row nowrap !important; gap: 8px; overflow: visible !important; }
.workbench-controls { flex: 0 0 25em; min-width: 0; overflow: visible !important; }
.workbench-controls .widget-inline-hbox, .workbench-controls .widget-upload { width: 100%; margin: 1px 0; }
.workbench-controls .widget-label { width: 12.6em !important; overflow: visible; }
.workbench-controls .widget-readout { min-width: 4.2em; }
.workbench-stage { flex: 1 1 0; min-width: 0; overflow: visible !important; }
.workbench-picture { width: 100% !important; cursor: crosshair; }
.workbench-time { width: 100% !important; } .workbench-time .widget-label { width: auto !important; }
.workbench-help { color: var(--quiet); margin: 0 0 5px 2px !important; }
.workbench-help .widget-html-content { color: var(--quiet); font-size: .9em; line-height: 1.3; }
.workbench-tour { border: 2px solid var(--accent); border-radius: 6px; padding: 4px 10px; }
.workbench-good { color: var(--good); } .workbench-wait { color: var(--wait); }
.workbench-bad { color: var(--bad); font-weight: 600; }
.workbench-status { flex: 1 1 20em; }
.workbench-row .widget-dropdown { max-width: 14em; } .workbench-row .workbench-look { max-width: 12.4em; }
.workbench table { border-collapse: collapse; margin: 4px 0; }
.workbench td, .workbench th { padding: 2px 8px; text-align: left; border-bottom: 1px solid var(--edge);
  vertical-align: top; }
.workbench pre { background: var(--field); padding: 6px; overflow-x: auto; user-select: all; color: var(--ink); }
.workbench-gone { position: fixed; inset: 0 0 auto 0; z-index: 99; background: #a31515; color: #fff; padding: 14px;
  font: 600 17px/1.4 sans-serif; text-align: center; }
.workbench-gone button { font: inherit; margin-left: 1em; padding: 2px 12px; }
.workbench-hidden { position: absolute !important; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
@container (max-width: 1010px) {
  .workbench-body { flex-direction: column !important; }
  .workbench-stage { flex: none; }
  .workbench-controls { flex: none; width: 100%; }
  .workbench-group { display: grid !important; gap: 0 10px;
    grid-template-columns: repeat(auto-fill, minmax(20em, 1fr)); }
  .workbench-group > h2, .workbench-group > .workbench-heading { grid-column: 1 / -1; }
}
@container (max-width: 560px) { .workbench-controls .widget-label { width: 9em !important; } }
@media print { .workbench-controls, .workbench-row button { display: none !important; }
  .workbench-body { flex-direction: column !important; } }
"""


def css() -> str:
    """The rules, as an element that a page can hold anywhere."""
    return f"<style>{_CSS}</style>"


def look(em: float, width: float, *, night: bool) -> Style:
    """Style of a figure that is ``width`` pixels wide with letters of ``em`` pixels; a point is 4/3 of a pixel."""
    style = Style(width=width / 96, font=0.72 * em, muted="#5c5c66", lightness=(0.30, 0.54))
    return replace(dark(style), muted="#b4b4bf", lightness=(0.66, 0.93)) if night else style
