/** The beginning: settings, theme, language and address are followed, and the frame is drawn. */

import { render } from 'preact'
import { App } from './app.tsx'
import { followLanguage } from './language/language.ts'
import { followAddress } from './route.ts'
import { followSettings } from './settings/state.ts'
import { followTheme } from './theme/tokens.ts'
import './theme/tokens.css'
import './theme/base.css'

followSettings()
followTheme()
followLanguage()
followAddress()

const place = document.getElementById('app')
if (place) render(<App />, place)
