export const mutations: readonly {
  readonly rule: string;
  /** Why nothing shows the harm, where nothing does. */
  readonly unseen?: string;
  /** How often each program runs, default 3. */
  readonly runs?: number;
  readonly programs: readonly string[];
  readonly patches: readonly (readonly [file: string, from: string, to: string])[];
}[];
