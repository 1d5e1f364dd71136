"""A WebKit window for WebKitWebDriver (`engines.mjs` starts it, never a person).

WebKitGTK's own MiniBrowser would do, but it says nothing of what a page complains
of while it is driven, and is never narrower than 447 pixels. This one keeps its
data in the folder it is given and writes what the console gets to `console` there,
has no tool bar, and turns dark and light again on SIGUSR1 and SIGUSR2.
"""

import os
import signal
import sys

import gi

gi.require_version("Gtk", "3.0")
gi.require_version("WebKit2", "4.1")
from gi.repository import Gdk, GLib, Gtk, WebKit2  # noqa: E402


def window(context):
    settings = WebKit2.Settings(
        enable_write_console_messages_to_stdout=True,
        enable_media_stream=True,
    )
    view = WebKit2.WebView(web_context=context, settings=settings, is_controlled_by_automation=True)
    frame = Gtk.Window(default_width=1280, default_height=800)
    frame.add(view)
    frame.show_all()
    frame.get_window().focus(Gdk.CURRENT_TIME)  # there is no window manager to give it
    return view


def dark(yes):
    Gtk.Settings.get_default().set_property("gtk-application-prefer-dark-theme", yes)
    return True


def started(context, session):
    info = WebKit2.ApplicationInfo()
    info.set_name("Watchword tests")
    session.set_application_info(info)
    session.connect("create-web-view", lambda _: window(context))


folder = sys.argv[1]
said = os.open(f"{folder}/console", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
os.dup2(said, 1)
os.dup2(said, 2)
with open(f"{folder}/pid", "w", encoding="ascii") as file:
    file.write(str(os.getpid()))
data = WebKit2.WebsiteDataManager(base_data_directory=f"{folder}/data", base_cache_directory=f"{folder}/cache")
context = WebKit2.WebContext(website_data_manager=data)
context.set_preferred_languages(["en-GB"])
context.set_automation_allowed(True)
context.connect("automation-started", started)
for number, yes in ((signal.SIGUSR1, True), (signal.SIGUSR2, False)):
    GLib.unix_signal_add(GLib.PRIORITY_DEFAULT, number, dark, yes)
Gtk.main()
