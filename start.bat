@echo off
rem Sets up .venv once and starts the service. "start.bat help" lists what it can do.
setlocal EnableExtensions
cd /d "%~dp0"

set "VERB=%~1"
if "%VERB%"=="" set "VERB=start"
if /i "%VERB%"=="help" goto usage
if /i "%VERB%"=="start" goto run_start
if /i "%VERB%"=="demo" goto run_demo
if /i "%VERB%"=="test" goto run_test
if /i "%VERB%"=="chaos" goto run_chaos
if /i "%VERB%"=="setup" goto run_setup
echo "%VERB%" is not a verb of start.bat. 1>&2
call :show_usage 1>&2
exit /b 2

:run_start
call :prepare requirements.txt || exit /b 1
.venv\Scripts\python.exe start_service.py
exit /b %ERRORLEVEL%

:run_demo
call :prepare requirements.txt || exit /b 1
.venv\Scripts\python.exe start_service.py demo
exit /b %ERRORLEVEL%

:run_setup
call :prepare requirements-dev.txt
exit /b %ERRORLEVEL%

:run_test
call :prepare requirements-dev.txt || exit /b 1
where initdb >nul 2>nul || echo PostgreSQL was not found: the tests on it will be reported as skipped.
rem Only the options after the verb go to pytest.
for /f "tokens=1,*" %%a in ("%*") do set "OPTIONS=%%b"
.venv\Scripts\python.exe -m pytest -n 2 %OPTIONS%
exit /b %ERRORLEVEL%

:run_chaos
call :prepare requirements-dev.txt || exit /b 1
rem Only the options after the verb go to the run.
for /f "tokens=1,*" %%a in ("%*") do set "OPTIONS=%%b"
.venv\Scripts\python.exe -m tests.chaos.run %OPTIONS%
exit /b %ERRORLEVEL%

:usage
call :show_usage
exit /b 0

:show_usage
echo usage: start.bat [verb] [options]
echo.
echo start   start the Prefect server, the API and the workers (also without a verb)
echo demo    run an example workflow on a service of its own, then remove it
echo test    run the tests; options go to pytest
echo chaos   kill a service of its own for minutes and check that nothing is lost; --help lists options
echo setup   only prepare .venv, with the development tools
echo help    show this
echo.
echo The settings are in .env: see .env.example. PYTHON=C:\path\to\python.exe chooses the interpreter.
exit /b 0

rem Makes .venv and installs a lock, unless a copy in .venv says that this very lock is installed.
:prepare
if not exist .venv\Scripts\python.exe (
    call :make_venv || exit /b 1
)
if exist ".venv\installed-%1" fc /b "%1" ".venv\installed-%1" >nul && exit /b 0
echo Installing the packages of %1: a minute or two, once ...
.venv\Scripts\python.exe -m pip --require-virtualenv --disable-pip-version-check --no-input install --quiet --require-hashes -r "%1"
if errorlevel 1 (
    echo The packages could not be installed: see above. 1>&2
    exit /b 1
)
copy /y "%1" ".venv\installed-%1" >nul
echo Installed.
exit /b 0

:make_venv
call :find_python || exit /b 1
echo Creating .venv with %FOUND% ...
%FOUND% -m venv .venv || exit /b 1
exit /b 0

:find_python
set "FOUND="
if defined PYTHON (
    call :try "%PYTHON%" && exit /b 0
    echo PYTHON: this is not Python 3.11, 3.12 or 3.13. 1>&2
    exit /b 1
)
call :try py -3.12 && exit /b 0
call :try py -3.11 && exit /b 0
call :try py -3.13 && exit /b 0
call :try python && exit /b 0
echo No Python 3.11, 3.12 or 3.13 was found. Install one, or name it: set PYTHON=C:\path\to\python.exe 1>&2
exit /b 1

:try
%* -c "import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))" >nul 2>nul || exit /b 1
set FOUND=%*
exit /b 0
