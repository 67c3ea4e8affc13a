// Where the popover stands: below its bell, on the side where there is room, as a rule of a constructed style sheet.

const WIDTH = 416;
const MARGIN = 8;
const [LOWEST, HIGHEST] = [440, 640];

export function place(bell: Element): string {
  const { top, bottom, left, right } = bell.getBoundingClientRect();
  const below = innerHeight - bottom - MARGIN;
  const above = top - MARGIN;
  const height = Math.min(Math.max(below, above) - MARGIN, HIGHEST);
  const vertical = below >= above || below >= HIGHEST ? `top:${bottom + MARGIN}px;bottom:auto` : `bottom:${innerHeight - top + MARGIN}px;top:auto`;
  // The edge that is nearer to the bell's own side of the page.
  const x = (left + right) / 2 > innerWidth / 2 ? right - WIDTH : left;
  const inside = Math.max(MARGIN, Math.min(x, innerWidth - WIDTH - MARGIN));
  return `@media (min-width: 520px) { .popover { left:${inside}px; ${vertical}; width:${WIDTH}px; height:auto; max-height:${height}px; min-height:${Math.min(height, LOWEST)}px } }`;
}
