"""What mitmproxy loads. Never edited: mitmproxy watches this file, and a broken reload would unload the addon."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from addon.proxy.addon import ActionsExtension

addons = [ActionsExtension()]
