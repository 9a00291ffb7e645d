/** What this browser remembers from visit to visit. Where storage is forbidden, nothing is, and nothing breaks. */

const PREFIX = 'clew.'

/** One of `allowed`, or undefined for what was never stored, or is no longer a choice. */
export function remembered<T extends string>(name: string, allowed: readonly T[]): T | undefined {
  const value = rememberedText(name)
  return allowed.find((each) => each === value)
}

export function rememberedText(name: string): string | undefined {
  return attempt(() => localStorage.getItem(PREFIX + name)) ?? undefined
}

export function remember(name: string, value: string | undefined): void {
  attempt(() =>
    value === undefined
      ? localStorage.removeItem(PREFIX + name)
      : localStorage.setItem(PREFIX + name, value),
  )
}

/** The same for this tab alone: gone when it is closed. */
export function rememberedInTab(name: string): string | undefined {
  return attempt(() => sessionStorage.getItem(PREFIX + name)) ?? undefined
}

export function rememberInTab(name: string, value: string | undefined): void {
  attempt(() =>
    value === undefined
      ? sessionStorage.removeItem(PREFIX + name)
      : sessionStorage.setItem(PREFIX + name, value),
  )
}

function attempt<T>(act: () => T): T | undefined {
  try {
    return act()
  } catch {
    return undefined
  }
}

/** Forget everything of Clew's, in this tab and on this machine. */
export function forgetAll(): void {
  for (const storage of [() => localStorage, () => sessionStorage]) {
    attempt(() => {
      const kept = storage()
      for (const key of Object.keys(kept)) if (key.startsWith(PREFIX)) kept.removeItem(key)
    })
  }
}
