/** The two numberings of rows, which the compiler keeps apart. */

declare const ofTree: unique symbol
declare const ofSource: unique symbol

/** A row of the trace as it shows: parents before children. */
export type TreeRow = number & { readonly [ofTree]: true }

/** A row of what was loaded, in the order in which it came. */
export type SourceRow = number & { readonly [ofSource]: true }
