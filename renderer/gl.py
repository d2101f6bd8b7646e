"""Headless OpenGL: an EGL context that lives as long as one photo, and the drawing of its layers.

EGL's surfaceless platform needs no display, no window and no GPU (Mesa's llvmpipe draws on the CPU). Nothing here is
kept at module level: a Beam worker sets up, processes and tears down on different threads.
"""

import ctypes
import os

import cv2
import numpy as np

from renderer import encode
from renderer.camera import Window
from renderer.stretch import STRETCH_SCALE

# Both must be set before PyOpenGL and Mesa are loaded. llvmpipe's own threads deadlock children that are forked later,
# and one process a core without them costs a tenth less CPU.
os.environ.setdefault("PYOPENGL_PLATFORM", "egl")
os.environ.setdefault("LP_NUM_THREADS", "0")

INSTALL = "install a GL driver, on Debian `apt-get install libegl1 libgl1-mesa-dri libopengl0`, or use --renderer cpu"
EGL_PLATFORM_SURFACELESS_MESA = 0x31DD
EGL_PLATFORM_DEVICE_EXT = 0x313F
SOFTWARE_DEVICE = "EGL_MESA_device_software"  # among an EGL device's extensions
SOFTWARE_NAMES = ("llvmpipe", "softpipe", "swrast")
SAMPLES = 4  # a pixel, on a GPU, where they cost next to nothing; llvmpipe's take five times the drawing

VERTEX_SHADER = """#version 330 core
layout(location = 0) in vec3 position;
layout(location = 1) in vec2 uv;
uniform mat4 projection_view;
out vec2 texel;
void main() { texel = uv; gl_Position = projection_view * vec4(position, 1.0); }
"""
FRAGMENT_SHADER = """#version 330 core
in vec2 texel;
uniform sampler2D photo;
out vec4 colour;
void main() { colour = vec4(texture(photo, texel).rgb, 1.0); }
"""

# What `renderer.stretch` measures, at full resolution: red carries the label through, green the stretch, up to STRETCH_SCALE.
# Photo position and 1, both over w, are linear on the screen: their differences between pixels are exact even where one of these
# lies outside of the triangle. Those of the position itself are not, where a triangle runs far into the depth.
STRETCH_VERTEX_SHADER = """#version 330 core
layout(location = 0) in vec3 position;
layout(location = 1) in vec2 uv;
uniform mat4 projection_view;
noperspective out vec3 over_w;
void main() { gl_Position = projection_view * vec4(position, 1.0); over_w = vec3(uv, 1.0) / gl_Position.w; }
"""
STRETCH_SHADER = f"""#version 330 core
noperspective in vec3 over_w;
uniform sampler2D photo;
uniform vec2 extent;
out vec4 colour;
void main() {{
    vec2 texel = over_w.xy / over_w.z;
    vec3 along_x = dFdx(over_w), along_y = dFdy(over_w);
    vec2 across = (along_x.xy - texel * along_x.z) / over_w.z * extent;
    vec2 down = (along_y.xy - texel * along_y.z) / over_w.z * extent;
    float total = dot(across, across) + dot(down, down), determinant = across.x * down.y - across.y * down.x;
    float least = sqrt(max(0.5 * (total - sqrt(max(total * total - 4.0 * determinant * determinant, 0.0))), 1e-9));
    float label = texelFetch(photo, ivec2(clamp(texel, 0.0, 0.99999) * vec2(textureSize(photo, 0))), 0).r;
    colour = vec4(label, min(1.0 / least, {STRETCH_SCALE}) / {STRETCH_SCALE}, 0.0, 1.0);
}}
"""


class GLUnavailable(RuntimeError):
    """No GL context can be had on this machine. The message says what to install."""


def projection(window: Window, near, far):
    """OpenGL projection (4, 4) of a Window, upside down, so that the frame's first row is read first."""
    w, h = window.width, window.height
    return np.array(
        [
            [2 / w, 0, (window.right + window.left) / w, 0],
            [0, -2 / h, -(window.top + window.bottom) / h, 0],
            [0, 0, -(far + near) / (far - near), -2 * far * near / (far - near)],
            [0, 0, -1, 0],
        ]
    )


class Context:
    """An EGL context with one framebuffer. Use as `with Context(width, height) as context:` on a single thread.

    Args:
      samples: a pixel; by default SAMPLES on a GPU and one in software.
    """

    def __init__(self, width, height, samples=None):
        self.width, self.height, self.samples = width, height, samples

    def __enter__(self):
        try:
            from OpenGL import EGL, GL

            self.egl, self.gl = EGL, GL
            self.display, self.context = self._open()
        except GLUnavailable:
            raise
        # PyOpenGL reports a missing library as whatever its first call trips over: AttributeError, TypeError, EGLError.
        except Exception as error:
            raise GLUnavailable(f"OpenGL through EGL does not work here ({type(error).__name__}): {INSTALL}.") from error
        if self.samples is None:
            self.samples = SAMPLES if self.on_gpu() else 1
        self.target = self._make_framebuffer(1)
        self.drawn = self._make_framebuffer(self.samples) if self.samples > 1 else self.target
        return self

    def _open(self):
        """(display, current context) of the first device that works: GPUs before the surfaceless platform."""
        from OpenGL.EGL.EXT.platform_base import eglGetPlatformDisplayEXT

        egl = self.egl
        places = [(EGL_PLATFORM_DEVICE_EXT, device) for device in _gpus(egl)]
        attributes = [egl.EGL_CONTEXT_MAJOR_VERSION, 3, egl.EGL_CONTEXT_MINOR_VERSION, 3, egl.EGL_NONE]
        for platform, device in [*places, (EGL_PLATFORM_SURFACELESS_MESA, ctypes.c_void_p(0))]:
            display = eglGetPlatformDisplayEXT(platform, device, None)
            try:
                if not egl.eglInitialize(display, ctypes.byref(egl.EGLint()), ctypes.byref(egl.EGLint())):
                    continue
            except egl.EGLError:
                if platform == EGL_PLATFORM_SURFACELESS_MESA:
                    raise
                continue  # a device without a driver, or one that this user may not open
            egl.eglBindAPI(egl.EGL_OPENGL_API)
            context = egl.eglCreateContext(
                display, ctypes.c_void_p(0), egl.EGL_NO_CONTEXT, (egl.EGLint * len(attributes))(*attributes)
            )
            if context and egl.eglMakeCurrent(display, egl.EGL_NO_SURFACE, egl.EGL_NO_SURFACE, context):
                return display, context
        raise GLUnavailable(f"No OpenGL 3.3 context could be made: {INSTALL}.")

    def __exit__(self, *_):
        # Deleting the context frees what it owns: textures, buffers, programs.
        self.egl.eglMakeCurrent(self.display, self.egl.EGL_NO_SURFACE, self.egl.EGL_NO_SURFACE, self.egl.EGL_NO_CONTEXT)
        self.egl.eglDestroyContext(self.display, self.context)

    def renderer_name(self):
        """The driver's own name, say `llvmpipe (LLVM 15.0.6, 256 bits)`."""
        return self.gl.glGetString(self.gl.GL_RENDERER).decode()

    def on_gpu(self):
        """Whether hardware draws."""
        return not any(name in self.renderer_name().lower() for name in SOFTWARE_NAMES)

    def _make_framebuffer(self, samples):
        gl = self.gl
        limit = int(gl.glGetIntegerv(gl.GL_MAX_RENDERBUFFER_SIZE))
        if max(self.width, self.height) > limit:
            raise GLUnavailable(f"The GL driver draws up to {limit} pixels a side: ask for a smaller --width.")
        framebuffer = gl.glGenFramebuffers(1)
        gl.glBindFramebuffer(gl.GL_FRAMEBUFFER, framebuffer)
        for attachment, storage in ((gl.GL_COLOR_ATTACHMENT0, gl.GL_RGBA8), (gl.GL_DEPTH_ATTACHMENT, gl.GL_DEPTH_COMPONENT24)):
            buffer = gl.glGenRenderbuffers(1)
            gl.glBindRenderbuffer(gl.GL_RENDERBUFFER, buffer)
            if samples > 1:
                gl.glRenderbufferStorageMultisample(gl.GL_RENDERBUFFER, samples, storage, self.width, self.height)
            else:
                gl.glRenderbufferStorage(gl.GL_RENDERBUFFER, storage, self.width, self.height)
            gl.glFramebufferRenderbuffer(gl.GL_FRAMEBUFFER, attachment, gl.GL_RENDERBUFFER, buffer)
        if gl.glCheckFramebufferStatus(gl.GL_FRAMEBUFFER) != gl.GL_FRAMEBUFFER_COMPLETE:
            raise GLUnavailable(f"The GL driver refuses a {self.width}x{self.height} picture: {INSTALL}.")
        return framebuffer

    def _program(self, vertex_shader, fragment_shader):
        from OpenGL.GL import shaders

        gl = self.gl
        stages = ((vertex_shader, gl.GL_VERTEX_SHADER), (fragment_shader, gl.GL_FRAGMENT_SHADER))
        program = gl.glCreateProgram()
        for source, kind in stages:
            gl.glAttachShader(program, shaders.compileShader(source, kind))
        gl.glLinkProgram(program)
        return program

    def stretch(self, layers, window, path, lens):
        """How much the frames of a path draw the photo out, where `renderer.stretch` measures it on a copy.

        Args:
          layers: pairs of Mesh and labels (h, w) uint8, below 255; near to far.
          window, path: as of `frames`.
          lens: the photo's Lens.

        Yields:
          ((height, width) float32 stretch, at most STRETCH_SCALE; (height, width) uint8 labels, 255 without surface) a frame.
        """
        extent = self.width * 2 * lens.half_width / window.width, self.height * 2 * lens.half_height / window.height
        pictures = [(mesh, np.repeat(labels[..., None], 3, axis=2)) for mesh, labels in layers]
        for frame in self._draw(pictures, window, path, extent):
            yield (
                frame[..., 1] * np.float32(STRETCH_SCALE / 255),
                np.where(frame[..., 3] == 0, 255, frame[..., 0]).astype(np.uint8),
            )

    def frames(self, layers, window, path):
        """Draws a path.

        Args:
          layers: pairs of Mesh and its picture (h, w, 3) uint8 YCbCr, near to far.
          window: the Window that every frame shows.
          path: the Path, one pose a frame.

        Yields:
          ((height * 3 / 2, width) uint8 planes as of `encode.yuv420`, pixels without surface) a frame; the planes are valid
          until the next is asked for.
        """
        planes = np.empty((self.height * 3 // 2, self.width), np.uint8)
        for frame in self._draw(layers, window, path):
            opaque = cv2.countNonZero(cv2.compare(cv2.extractChannel(frame, 3), 255, cv2.CMP_EQ))
            yield encode.yuv420(frame, planes), self.width * self.height - opaque

    def _draw(self, layers, window, path, extent=None):
        """(height, width, 4) uint8 a frame, first row on top; alpha is 0 where no layer was drawn.

        With `extent`, the photo's whole size in pixels of a frame, the stretch is drawn in place of the picture.
        """
        gl = self.gl
        shaders = (VERTEX_SHADER, FRAGMENT_SHADER) if extent is None else (STRETCH_VERTEX_SHADER, STRETCH_SHADER)
        program = self._program(*shaders)
        gl.glUseProgram(program)
        gl.glViewport(0, 0, self.width, self.height)
        gl.glEnable(gl.GL_DEPTH_TEST)
        # The depth of a sliver seen from its edge is a ratio of rounding errors: clamped, it is drawn all the same, and may hide
        # nothing but the emptiness behind. Without, one clip in forty had a frame with one hole.
        gl.glEnable(gl.GL_DEPTH_CLAMP)
        gl.glDepthFunc(gl.GL_LEQUAL)
        gl.glClearColor(0, 0, 0, 0)
        gl.glPixelStorei(gl.GL_UNPACK_ALIGNMENT, 1)
        gl.glPixelStorei(gl.GL_PACK_ALIGNMENT, 1)
        drawn = [self._upload(mesh, picture) for mesh, picture in layers]
        depths = np.concatenate([-mesh.positions[:, 2] for mesh, _ in layers])
        reach = np.abs(path.positions).max()
        near, far = max(0.05, 0.5 * (depths.min() - reach)), 2.0 * (depths.max() + reach)
        view_to_clip = projection(window, near, far)
        location = gl.glGetUniformLocation(program, "projection_view")
        if extent is not None:
            gl.glUniform2f(gl.glGetUniformLocation(program, "extent"), *extent)
        frame = np.empty((self.height, self.width, 4), np.uint8)
        for position, rotation in zip(path.positions, path.rotations, strict=True):
            view = np.eye(4)
            view[:3, :3], view[:3, 3] = rotation, -rotation @ position
            gl.glUniformMatrix4fv(location, 1, gl.GL_TRUE, (view_to_clip @ view).astype(np.float32))
            gl.glBindFramebuffer(gl.GL_FRAMEBUFFER, self.drawn)
            gl.glClear(gl.GL_COLOR_BUFFER_BIT | gl.GL_DEPTH_BUFFER_BIT)
            for vertices, texture, count in drawn:
                gl.glBindVertexArray(vertices)
                gl.glBindTexture(gl.GL_TEXTURE_2D, texture)
                gl.glDrawElements(gl.GL_TRIANGLES, count, gl.GL_UNSIGNED_INT, ctypes.c_void_p(0))
            if self.drawn != self.target:  # the mean of a pixel's samples
                gl.glBindFramebuffer(gl.GL_READ_FRAMEBUFFER, self.drawn)
                gl.glBindFramebuffer(gl.GL_DRAW_FRAMEBUFFER, self.target)
                size = 0, 0, self.width, self.height
                gl.glBlitFramebuffer(*size, *size, gl.GL_COLOR_BUFFER_BIT, gl.GL_NEAREST)
                gl.glBindFramebuffer(gl.GL_READ_FRAMEBUFFER, self.target)
            gl.glReadPixels(0, 0, self.width, self.height, gl.GL_RGBA, gl.GL_UNSIGNED_BYTE, frame)
            yield frame

    def _upload(self, mesh, picture):
        gl = self.gl
        vertices = gl.glGenVertexArrays(1)
        gl.glBindVertexArray(vertices)
        data = np.ascontiguousarray(np.hstack([mesh.positions, mesh.uv]), np.float32)
        gl.glBindBuffer(gl.GL_ARRAY_BUFFER, gl.glGenBuffers(1))
        gl.glBufferData(gl.GL_ARRAY_BUFFER, data.nbytes, data, gl.GL_STATIC_DRAW)
        for index, (size, offset) in enumerate(((3, 0), (2, 12))):
            gl.glEnableVertexAttribArray(index)
            gl.glVertexAttribPointer(index, size, gl.GL_FLOAT, gl.GL_FALSE, data.strides[0], ctypes.c_void_p(offset))
        gl.glBindBuffer(gl.GL_ELEMENT_ARRAY_BUFFER, gl.glGenBuffers(1))
        gl.glBufferData(gl.GL_ELEMENT_ARRAY_BUFFER, mesh.triangles.nbytes, mesh.triangles, gl.GL_STATIC_DRAW)
        texture = gl.glGenTextures(1)
        gl.glBindTexture(gl.GL_TEXTURE_2D, texture)
        h, w = picture.shape[:2]
        gl.glTexImage2D(gl.GL_TEXTURE_2D, 0, gl.GL_RGB8, w, h, 0, gl.GL_RGB, gl.GL_UNSIGNED_BYTE, np.ascontiguousarray(picture))
        for parameter, value in (
            (gl.GL_TEXTURE_MIN_FILTER, gl.GL_LINEAR),
            (gl.GL_TEXTURE_MAG_FILTER, gl.GL_LINEAR),
            (gl.GL_TEXTURE_WRAP_S, gl.GL_CLAMP_TO_EDGE),
            (gl.GL_TEXTURE_WRAP_T, gl.GL_CLAMP_TO_EDGE),
        ):
            gl.glTexParameteri(gl.GL_TEXTURE_2D, parameter, value)
        return vertices, texture, mesh.triangles.size


def _gpus(egl):
    """EGL devices that are not software, as handles; none where the driver cannot list them."""
    try:
        from OpenGL.EGL.EXT.device_enumeration import eglQueryDevicesEXT
        from OpenGL.EGL.EXT.device_query import eglQueryDeviceStringEXT

        count = egl.EGLint()
        if not eglQueryDevicesEXT(0, None, ctypes.byref(count)) or not count.value:
            return []
        devices = (egl.EGLDeviceEXT * count.value)()
        eglQueryDevicesEXT(count.value, devices, ctypes.byref(count))
        told = [(device, eglQueryDeviceStringEXT(device, egl.EGL_EXTENSIONS) or b"") for device in devices[: count.value]]
    except (egl.EGLError, AttributeError, TypeError):
        return []
    return [device for device, extensions in told if SOFTWARE_DEVICE not in extensions.decode()]


def check():
    """Raises GLUnavailable with what to install where this machine cannot draw; returns the driver's name."""
    with Context(16, 16) as context:
        return context.renderer_name()


def has_gpu():
    """Whether GL draws here, and in hardware."""
    try:
        with Context(16, 16) as context:
            return context.on_gpu()
    except GLUnavailable:
        return False
