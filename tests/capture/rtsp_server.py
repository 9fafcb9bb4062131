"""Serves a video file by RTSP at its own pace, for the tests; run by a Python that has GStreamer.

    /usr/bin/python3 rtsp_server.py PORT [aac:|pcma:]FILE.mkv|rtp:PORT [USER PASSWORD]

Debian: python3-gi, gir1.2-gst-rtsp-server-1.0 and gstreamer1.0-plugins-good (matroskademux,
rtph264pay). The stream is at /video; a line on stdout says when the server is ready.
``rtp:PORT`` passes on H.264 that comes there by RTP, the same to all viewers. ``aac:`` and
``pcma:`` serve the file's sound as well: AAC as it is, or raw sound of 8 kHz as A-law.
"""

import sys

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtspServer  # noqa: E402

SOUND = {
    "aac": "aacparse ! rtpmp4gpay name=pay1 pt=97",
    "pcma": "audioconvert ! alawenc ! rtppcmapay name=pay1",
}


def main() -> None:
    port, path, *login = sys.argv[1:]
    Gst.init(None)
    server = GstRtspServer.RTSPServer()
    server.set_service(port)
    server.set_address("127.0.0.1")
    factory = GstRtspServer.RTSPMediaFactory()
    if path.startswith("rtp:"):
        came = "application/x-rtp,media=video,clock-rate=90000,encoding-name=H264,payload=96"
        pictures = (
            f'udpsrc address=127.0.0.1 port={path[4:]} caps="{came}" ! rtph264depay ! h264parse'
        )
        factory.set_shared(True)
    else:
        pictures = f"filesrc location={path} ! matroskademux"
    launch = f"{pictures} ! rtph264pay name=pay0 pt=96 config-interval=1"
    kind, _, film = path.partition(":")
    if kind in SOUND:
        launch = f"filesrc location={film} ! matroskademux name=film"
        launch += " film.video_0 ! queue ! rtph264pay name=pay0 pt=96 config-interval=1"
        launch += f" film.audio_0 ! queue ! {SOUND[kind]}"
    factory.set_launch(f"( {launch} )")
    if login:
        user, password = login
        auth = GstRtspServer.RTSPAuth()
        token = GstRtspServer.RTSPToken()
        token.set_string("media.factory.role", "viewer")
        auth.add_basic(GstRtspServer.RTSPAuth.make_basic(user, password), token)
        server.set_auth(auth)
        permissions = GstRtspServer.RTSPPermissions()
        permissions.add_permission_for_role("viewer", "media.factory.access", True)
        permissions.add_permission_for_role("viewer", "media.factory.construct", True)
        factory.set_permissions(permissions)
    server.get_mount_points().add_factory("/video", factory)
    if not server.attach(None):
        sys.exit(f"port {port} is taken")
    print("ready", flush=True)
    GLib.MainLoop().run()


main()
