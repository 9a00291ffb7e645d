/** Icons, 16 px, in the colour of the text. They are decoration: the control that has one names itself. */

export const PATHS = {
  search: 'M7 2.5a4.5 4.5 0 1 1 0 9 4.5 4.5 0 0 1 0-9M10.5 10.5l3.5 3.5',
  trace: 'M2 3.5h9M5 8h9M7 12.5h4',
  statistics: 'M2 13.5h12M3.5 11l3-4 3 2 4-6',
  topology:
    'M3.5 8h3M9.5 5.5l2-1.5M9.5 10.5l2 1.5M6.5 8a1.8 1.8 0 1 0 3.6 0 1.8 1.8 0 1 0-3.6 0M11 3.2a1.3 1.3 0 1 0 2.6 0 1.3 1.3 0 1 0-2.6 0M11 12.8a1.3 1.3 0 1 0 2.6 0 1.3 1.3 0 1 0-2.6 0M1 8a1.3 1.3 0 1 0 2.6 0 1.3 1.3 0 1 0-2.6 0',
  settings:
    'M2 4.5h6M12 4.5h2M2 11.5h2M8 11.5h6M8 4.5a2 2 0 1 0 4 0 2 2 0 1 0-4 0M4 11.5a2 2 0 1 0 4 0 2 2 0 1 0-4 0',
  help: 'M8 1.5a6.5 6.5 0 1 1 0 13 6.5 6.5 0 0 1 0-13M6 6.2c.1-2.6 4.2-2.5 4 .1C9.9 8 8 7.9 8 9.5M8 11.8v.1',
  error: 'M8 1.5a6.5 6.5 0 1 1 0 13 6.5 6.5 0 0 1 0-13M8 4.5v4.5M8 11.4v.1',
  warning: 'M8 2l6.5 11.5h-13zM8 6.5v3.5M8 11.9v.1',
  close: 'M3.5 3.5l9 9M12.5 3.5l-9 9',
  copy: 'M5.5 5.5h8v8h-8zM10.5 5.5v-3h-8v8h3',
  check: 'M3 8.5l3.5 3.5 6.5-8',
  download: 'M8 2v8M4.5 7L8 10.5 11.5 7M2.5 13.5h11',
  upload: 'M8 10.5v-8M4.5 6L8 2.5 11.5 6M2.5 13.5h11',
  link: 'M6.5 9.5l3-3M7 4.5l1.8-1.8a3 3 0 0 1 4.4 4.4L11.5 9M9 11.5l-1.8 1.8a3 3 0 0 1-4.4-4.4L4.5 7',
  plus: 'M8 3v10M3 8h10',
  minus: 'M3 8h10',
  right: 'M6 3.5L10.5 8 6 12.5',
  down: 'M3.5 6L8 10.5 12.5 6',
  up: 'M3.5 10L8 5.5 12.5 10',
  reload: 'M13 8a5 5 0 1 1-1.5-3.6M13 2v3h-3',
  play: 'M5 3l8 5-8 5z',
  pause: 'M5 3v10M11 3v10',
  database: 'M3 4c0-2 10-2 10 0v8c0 2-10 2-10 0zM3 4c0 2 10 2 10 0M3 8c0 2 10 2 10 0',
  queue: 'M1.5 5h13v6h-13zM5 5v6M8 5v6M11 5v6',
  external: 'M6.5 3.5h-4v10h10v-4M9 2.5h4.5V7M13 3L7.5 8.5',
  reset: 'M2.5 6V2.5H6M10 2.5h3.5V6M13.5 10v3.5H10M6 13.5H2.5V10',
  filter: 'M2 3h12L9.5 8.5V13l-3-1.5v-3z',
  fold: 'M4 2.5L8 6l4-3.5M4 13.5L8 10l4 3.5',
  unfold: 'M4 6l4-3.5L12 6M4 10l4 3.5 4-3.5',
  overview: 'M2 4h12v8H2zM6 4v8M10.5 4v8',
  pair: 'M3 6h10M3 10h10',
  clock: 'M8 1.5a6.5 6.5 0 1 1 0 13 6.5 6.5 0 0 1 0-13M8 4.5V8l2.5 1.5',
} as const

export type IconName = keyof typeof PATHS

export function Icon({ name, size = 16 }: { name: IconName; size?: number }) {
  return (
    <svg width={size} height={size} viewBox="0 0 16 16" aria-hidden="true" focusable="false">
      <path
        d={PATHS[name]}
        fill="none"
        stroke="currentColor"
        stroke-width="1.5"
        stroke-linecap="round"
        stroke-linejoin="round"
      />
    </svg>
  )
}
