// The icons: strokes of the colour of the text around them. What they mean is said by the button that they are in.
import { svg, type TemplateResult } from "lit";

const icon = (path: string): TemplateResult => svg`<svg viewBox="0 0 24 24" fill="none" stroke="currentColor" stroke-width="1.75"
  stroke-linecap="round" stroke-linejoin="round" aria-hidden="true"><path d=${path}></path></svg>`;

export const icons = {
  bell: icon("M6 10a6 6 0 0 1 12 0c0 5 2 6.5 2 6.5H4S6 15 6 10M10 20a2.2 2.2 0 0 0 4 0"),
  back: icon("m14 6-6 6 6 6"),
  close: icon("m6 6 12 12M18 6 6 18"),
  checks: icon("m2 13 4 4L16 7M11 16l1 1L22 7"),
  read: icon("m5 12 5 5L20 7"),
  unread: icon("M7.5 12a4.5 4.5 0 1 0 9 0 4.5 4.5 0 1 0-9 0"),
  archive: icon("M4 5h16v4H4zM5.5 9v10h13V9M10 13h4"),
  unarchive: icon("M4 5h16v4H4zM5.5 9v10h13V9M12 16v-4m-2 2 2-2 2 2"),
  settings: icon("M4 7h9m5 0h2M4 17h2m5 0h9M13 7a2.5 2.5 0 1 0 5 0 2.5 2.5 0 1 0-5 0M6 17a2.5 2.5 0 1 0 5 0 2.5 2.5 0 1 0-5 0"),
};
