//! The sun and four planets, step by step: scalar `f64` arithmetic and square roots, the worst
//! case for making NaN bits canonical. The figures are those of the well-known n-body benchmark.

use std::process::ExitCode;

const DAYS: f64 = 365.24;
const SUN: f64 = 4.0 * std::f64::consts::PI * std::f64::consts::PI;
const STEP: f64 = 0.01;

struct Body {
    at: [f64; 3],
    speed: [f64; 3],
    mass: f64,
}

fn main() -> ExitCode {
    let steps = match kernels::rounds(1_000_000) {
        Ok(steps) => steps,
        Err(message) => {
            eprintln!("{message}");
            return ExitCode::from(2);
        }
    };
    let mut bodies = bodies();
    let mut momentum = [0.0; 3];
    for body in &bodies {
        for (sum, speed) in momentum.iter_mut().zip(body.speed) {
            *sum += speed * body.mass;
        }
    }
    bodies[0].speed = momentum.map(|part| -part / SUN);
    println!("{:.9}", energy(&bodies));
    for _ in 0..steps {
        step(&mut bodies);
    }
    println!("{:.9}", energy(&bodies));
    ExitCode::SUCCESS
}

fn step(bodies: &mut [Body; 5]) {
    for i in 0..5 {
        for j in i + 1..5 {
            let dx = bodies[i].at[0] - bodies[j].at[0];
            let dy = bodies[i].at[1] - bodies[j].at[1];
            let dz = bodies[i].at[2] - bodies[j].at[2];
            let squared = dx * dx + dy * dy + dz * dz;
            let pull = STEP / (squared * squared.sqrt());
            let (from, to) = (bodies[j].mass * pull, bodies[i].mass * pull);
            bodies[i].speed[0] -= dx * from;
            bodies[i].speed[1] -= dy * from;
            bodies[i].speed[2] -= dz * from;
            bodies[j].speed[0] += dx * to;
            bodies[j].speed[1] += dy * to;
            bodies[j].speed[2] += dz * to;
        }
    }
    for body in bodies {
        for axis in 0..3 {
            body.at[axis] += STEP * body.speed[axis];
        }
    }
}

fn energy(bodies: &[Body; 5]) -> f64 {
    let mut sum = 0.0;
    for (i, body) in bodies.iter().enumerate() {
        sum += 0.5 * body.mass * body.speed.iter().map(|part| part * part).sum::<f64>();
        for other in &bodies[i + 1..] {
            let apart = body.at.iter().zip(other.at).map(|(a, b)| (a - b) * (a - b)).sum::<f64>();
            sum -= body.mass * other.mass / apart.sqrt();
        }
    }
    sum
}

fn bodies() -> [Body; 5] {
    let planet = |at, speed: [f64; 3], mass: f64| Body {
        at,
        speed: speed.map(|part| part * DAYS),
        mass: mass * SUN,
    };
    [
        Body { at: [0.0; 3], speed: [0.0; 3], mass: SUN },
        planet(
            [4.84143144246472090e+00, -1.16032004402742839e+00, -1.03622044471123109e-01],
            [1.66007664274403694e-03, 7.69901118419740425e-03, -6.90460016972063023e-05],
            9.54791938424326609e-04,
        ),
        planet(
            [8.34336671824457987e+00, 4.12479856412430479e+00, -4.03523417114321381e-01],
            [-2.76742510726411021e-03, 4.99852801234917238e-03, 2.30417297573763929e-05],
            2.85885980666130812e-04,
        ),
        planet(
            [1.28943695621391310e+01, -1.51111514016986312e+01, -2.23307578892655734e-01],
            [2.96460137564761618e-03, 2.37847173959480950e-03, -2.96589568540237556e-05],
            4.36624404335156298e-05,
        ),
        planet(
            [1.53796971148509165e+01, -2.59193146099879641e+01, 1.79258772950371181e-01],
            [2.68067772490389322e-03, 1.62824170038242295e-03, -9.51592254519715870e-05],
            5.15138902046611451e-05,
        ),
    ]
}
