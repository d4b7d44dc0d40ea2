/** Why there is nothing to compile here, or undefined. */
export function selftestsRefusal(clang?: string): string | undefined;

export function compileSelftests(
  parts?: readonly string[],
  options?: { readonly clang?: string; readonly tagged?: boolean; readonly note?: (text: string) => void },
): Promise<{ readonly objects: string; readonly built: readonly string[]; readonly refused: readonly string[] }>;
