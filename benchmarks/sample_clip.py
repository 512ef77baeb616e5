"""A clip to measure decoding on: textures that move, in the size and length of Kinetics."""

import av
import numpy as np

HEIGHT, WIDTH, FPS, SECONDS = 256, 340, 30, 10


def render_clip(path: str, gop: int) -> None:
    """Write a 10-second 340 x 256 h264 file with `gop` frames between key frames and B-frames."""
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (2, 24, 32, 3)).repeat(32, 1).repeat(32, 2)
    texture = (coarse + rng.normal(0, 12, coarse.shape)).clip(0, 255).astype(np.uint8)
    with av.open(path, "w") as file:
        stream = file.add_stream("libx264", rate=FPS, options={"crf": "23", "bf": "2"})
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        stream.gop_size = gop
        for t in range(FPS * SECONDS):
            frame = texture[0, t : t + HEIGHT, t : t + WIDTH].copy()
            frame[80:176, 100 + t % 90 : 200 + t % 90] = texture[1, 2 * t % 300 :, :100][:96]
            file.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        file.mux(stream.encode())
