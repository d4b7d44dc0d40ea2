/** Names of return values, from the numbers that a type declares. */

export function verdictNames(prefix: string, values: Readonly<Record<string, number>>): ReadonlyMap<number, string> {
  return new Map(Object.entries(values).map(([name, value]) => [value, prefix + name.toUpperCase()]));
}

/** enum sk_action: sk_skb, sk_msg, sk_lookup, sk_reuseport. */
export const skAction = { drop: 0, pass: 1 } as const;
export const skVerdicts = verdictNames('SK_', skAction);

/** What most cgroup hooks answer. */
export const cgroupVerdicts = new Map([
  [0, 'DENY'],
  [1, 'ALLOW'],
]);
