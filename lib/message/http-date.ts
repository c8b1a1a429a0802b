/**
 * HTTP-date: text to time and back. Pure; no clock is read.
 *
 * RFC 9110 §5.6.7: the preferred form and the two obsolete ones, which recipients must take too.
 */

const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const IMF_FIXDATE = /^[A-Z][a-z]{2}, (\d\d) ([A-Z][a-z]{2}) (\d{4}) (\d\d):(\d\d):(\d\d) GMT$/;
const RFC_850 = /^[A-Z][a-z]{5,8}, (\d\d)-([A-Z][a-z]{2})-(\d\d) (\d\d):(\d\d):(\d\d) GMT$/;
const ASCTIME = /^[A-Z][a-z]{2} ([A-Z][a-z]{2}) ([ \d]\d) (\d\d):(\d\d):(\d\d) (\d{4})$/;

// biome-ignore lint/style/noRestrictedGlobals: its arithmetic of the calendar is used, never its clock
const Calendar = Date;

/**
 * Milliseconds since the epoch; null where the text is no HTTP-date.
 *
 * @param now what a year of two digits is held against: one that is more than 50 years ahead is in the past
 */
export function parseHttpDate(text: string, now: number): number | null {
  let parts = IMF_FIXDATE.exec(text);
  if (parts !== null) return at(Number(parts[3]), parts[2], parts[1], parts[4], parts[5], parts[6]);
  parts = RFC_850.exec(text);
  if (parts !== null) {
    const thisYear = new Calendar(now).getUTCFullYear();
    let year = thisYear - (thisYear % 100) + Number(parts[3]);
    if (year > thisYear + 50) year -= 100;
    return at(year, parts[2], parts[1], parts[4], parts[5], parts[6]);
  }
  parts = ASCTIME.exec(text);
  return parts === null ? null : at(Number(parts[6]), parts[1], parts[2], parts[3], parts[4], parts[5]);
}

/** In the preferred form, to the second. */
export function formatHttpDate(time: number): string {
  return new Calendar(time).toUTCString();
}

function at(year: number, monthName = "", ...rest: (string | undefined)[]): number | null {
  const month = MONTHS.indexOf(monthName);
  const [day = 0, hour = 0, minute = 0, second = 0] = rest.map(Number);
  if (month < 0 || day < 1 || day > 31 || hour > 23 || minute > 59 || second > 60) return null;
  return Calendar.UTC(year, month, day, hour, minute, second);
}
