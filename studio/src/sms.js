// How full an SMS is (3GPP TS 23.038 and 23.040), to draw its meter. How many parts are paid for, the server says.
const GSM = '@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !"#¤%&\'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà';
const EXTENSION = '\f^{}\\[~]|€';

export function meter(text) {
  const characters = [...text];
  const culprit = characters.find((c) => !GSM.includes(c) && !EXTENSION.includes(c));
  const gsm = culprit === undefined;
  const units = characters.map((c) => (gsm ? (EXTENSION.includes(c) ? 2 : 1) : c.length));
  const [single, part] = gsm ? [160, 153] : [70, 67];
  const total = units.reduce((sum, unit) => sum + unit, 0);
  if (total <= single) return { encoding: gsm ? 'GSM-7' : 'UCS-2', culprit, segments: 1, used: total, room: single };
  let [segments, used] = [1, 0];
  for (const unit of units) {
    if (used + unit > part) [segments, used] = [segments + 1, 0];
    used += unit;
  }
  return { encoding: gsm ? 'GSM-7' : 'UCS-2', culprit, segments, used, room: part };
}
