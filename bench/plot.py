"""Plots, as SVG, by gnuplot."""

import subprocess

from bench import contenders

HEAD = """\
set terminal svg size {width},{height} font "sans,12" background "white"
set output "{path}"
set grid x
set title "{title}"
"""


def gnuplot(script):
    subprocess.run([contenders.PEERS / "usr/bin/gnuplot-nox"], input=script, text=True, check=True,
                   env=contenders.peer_environment())


def ratios_script(path, rows):
    """rows: (label, ratio with median, min, max). One line of the plot each, from the top."""
    labels = ", ".join(f'"{label}" {-at}' for at, (label, _) in enumerate(rows))
    points = "\n".join(f"{ratio['median']} {-at} {ratio['min']} {ratio['max']}"
                       for at, (_, ratio) in enumerate(rows))
    return (HEAD.format(width=1000, height=120 + 22 * len(rows), path=path,
                        title="smtplb divided by each peer: median and range of the rounds")
            + f"$points << END\n{points}\nEND\n"
            + f"set ytics ({labels})\nset yrange [{-len(rows)}:1]\nset arrow from 1, graph 0 to 1, "
            "graph 1 nohead dashtype 2\nunset key\n"
            "plot $points using 1:2:3:4 with xerrorbars pointtype 7\n")


def lines_script(path, panels):
    """panels: (title, unit of x, points (x, spread)); side by side, from 0 up."""
    script = HEAD.format(width=320 * len(panels), height=320, path=path, title="")
    script += f"set multiplot layout 1,{len(panels)}\nunset key\nset yrange [0:*]\n"
    for number, (title, unit, points) in enumerate(panels):
        data = "\n".join(f"{at} {one['median']} {one['min']} {one['max']} \"{x}\""
                         for at, (x, one) in enumerate(points))
        script += (f"$panel{number} << END\n{data}\nEND\nset title \"{title}\"\n"
                   f"set xlabel \"{unit}\"\nset ylabel \"CPU us a session\"\n"
                   f"set xrange [-0.5:{len(points) - 0.5}]\n"
                   f"plot $panel{number} using 1:2:3:4:xticlabels(5) with yerrorlines "
                   "pointtype 7\n")
    return script + "unset multiplot\n"
