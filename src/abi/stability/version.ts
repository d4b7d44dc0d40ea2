/** The version of Sluice, as package.json has it: what `since` counts in. */
export const version = '0.2.0';

/** Negative, 0 or positive, as `a` is before, the same as or after `b`; both `MAJOR.MINOR.PATCH`. */
export function compareVersions(a: string, b: string): number {
  const [first, second] = [a, b].map((each) => each.split('.').map(Number));
  for (let at = 0; at < 3; at++) {
    const difference = (first![at] ?? 0) - (second![at] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}
