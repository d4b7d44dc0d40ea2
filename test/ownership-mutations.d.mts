export const mutations: readonly {
  readonly rule: string;
  /** Why nothing shows the harm, where nothing does. */
  readonly unseen?: string;
  readonly programs: readonly string[];
  readonly patches: readonly (readonly [file: string, from: string, to: string])[];
}[];
