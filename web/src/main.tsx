/** The beginning: settings, theme, language and address are followed, and the frame is drawn. */

import { render } from 'preact'
import { App, startView } from './app.tsx'
import { followLanguage } from './language/language.ts'
import { followAddress, route } from './route.ts'
import { followSettings } from './settings/state.ts'
import { followTheme } from './theme/tokens.ts'
import './theme/tokens.css'
import './theme/base.css'

const FETCH_MILLISECONDS = 2_000

startView(route.peek())
followSettings()
followTheme()
followLanguage()
followAddress()

const place = document.getElementById('app')
if (place) render(<App />, place)

// Once the page is there: what tells failures cannot be fetched from a server that is away.
addEventListener('load', () =>
  setTimeout(() => import('./parts/failed.tsx').catch(() => {}), FETCH_MILLISECONDS),
)
