/** Flags of rows. */

/** Set flags of a row beside those that it has. */
export function setFlag(flags: Uint32Array, row: number, flag: number): void {
  flags[row] = (flags[row] ?? 0) | flag
}
